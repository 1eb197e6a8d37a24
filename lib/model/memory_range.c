/* SPDX-License-Identifier: MIT */
#include "model/memory_range.h"

#include <stdbool.h>

size_t pi_memory_range_at_or_below(const pi_memory_range *ranges, size_t count, uint64_t address) {
    size_t low = 0, high = count;
    while (high - low > 1) {
        size_t middle = low + (high - low) / 2;
        if (ranges[middle].address <= address)
            low = middle;
        else
            high = middle;
    }
    return low;
}

size_t pi_memory_range_around(const pi_memory_range *ranges, size_t count, uint64_t address,
                              uint64_t size_bytes) {
    if (count == 0)
        return count;
    size_t at = pi_memory_range_at_or_below(ranges, count, address);
    if (address < ranges[at].address)
        return count;
    uint64_t offset = address - ranges[at].address;
    return offset <= ranges[at].size_bytes && size_bytes <= ranges[at].size_bytes - offset ? at
                                                                                           : count;
}

size_t pi_memory_range_part(const pi_memory_range *ranges, size_t count, uint64_t address,
                            size_t length, size_t *at) {
    *at = count;
    if (count == 0)
        return length;
    size_t index = pi_memory_range_at_or_below(ranges, count, address);
    const pi_memory_range *range = &ranges[index];
    if (address >= range->address && address - range->address < range->size_bytes) {
        uint64_t rest = range->size_bytes - (address - range->address);
        *at = index;
        return rest < length ? (size_t)rest : length;
    }
    if (address >= range->address)
        range++;
    bool is_below = range < ranges + count && range->address - address < length;
    return is_below ? (size_t)(range->address - address) : length;
}
