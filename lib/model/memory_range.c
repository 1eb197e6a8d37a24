/* SPDX-License-Identifier: MIT */
#include "model/memory_range.h"

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
