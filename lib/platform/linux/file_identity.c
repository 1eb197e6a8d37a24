/* SPDX-License-Identifier: MIT */
#include "platform/linux/file_identity.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "platform/linux/linux.h"

static bool is_on_device(const struct stat *status, const pi_mapping *mapping) {
    return status->st_dev == makedev(mapping->device_major, mapping->device_minor);
}

bool pi_file_may_be_mapping(const struct stat *status, const pi_mapping *mapping) {
    return S_ISREG(status->st_mode) &&
           (!is_on_device(status, mapping) || status->st_ino == mapping->inode);
}

/* The mapping at this address, in a text of maps that may end anywhere. */
static bool find_mapping(const pi_buffer *maps, uint64_t address, pi_mapping *found) {
    pi_maps_cursor cursor = {maps->data, maps->data + maps->length};
    while (pi_maps_next(&cursor, found))
        if (found->start == address)
            return true;
    return false;
}

/* What our own maps say of the mapping at this address: 1, 0 or a negative errno. It stands at
 * their beginning, mostly, and they can be long. */
static int find_own_mapping(uint64_t address, pi_mapping *found) {
    enum { BEGINNING = 4096, LARGEST_MAPS = 64 * 1024 * 1024 };
    static const size_t limits[] = {BEGINNING, LARGEST_MAPS};
    pi_buffer maps = {0};
    int result = 0;
    for (unsigned i = 0; i < 2 && result == 0; i++) {
        result = pi_read_file_at(AT_FDCWD, "/proc/self/maps", &maps, limits[i]);
        if (result == 0)
            result = find_mapping(&maps, address, found);
    }
    pi_buffer_free(&maps);
    return result;
}

int pi_file_is_mapping(int descriptor, const struct stat *status, const pi_mapping *mapping) {
    if (!pi_file_may_be_mapping(status, mapping))
        return 0;
    if (is_on_device(status, mapping))
        return 1;
    uintptr_t size = (uintptr_t)sysconf(_SC_PAGESIZE);
    /* As low as it may be, if nothing else is there: the first line of maps. */
    void *probe = mmap((void *)size, size, PROT_NONE, MAP_PRIVATE, descriptor, 0);
    if (probe == MAP_FAILED)
        return pi_is_exhaustion(errno) ? -errno : 0;
    pi_mapping own;
    int result = find_own_mapping((uint64_t)(uintptr_t)probe, &own);
    munmap(probe, size);
    if (result == 1)
        result = own.inode == mapping->inode && own.device_major == mapping->device_major &&
                 own.device_minor == mapping->device_minor;
    return result == 1 || pi_is_exhaustion(-result) ? result : 0;
}
