/* SPDX-License-Identifier: MIT */
#include "platform/linux/file_identity.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "base/io.h"

static bool is_on_device(const struct stat *status, const pi_mapping *mapping) {
    return status->st_dev == makedev(mapping->device_major, mapping->device_minor);
}

bool pi_file_may_be_mapping(const struct stat *status, const pi_mapping *mapping) {
    return S_ISREG(status->st_mode) &&
           (!is_on_device(status, mapping) || status->st_ino == mapping->inode);
}

/* What our own maps say of the mapping at this address. */
static bool find_own_mapping(uint64_t address, pi_mapping *found) {
    enum { LARGEST_MAPS = 16 * 1024 * 1024 };
    pi_buffer maps = {0};
    bool is_found = false;
    if (pi_read_file_at(AT_FDCWD, "/proc/self/maps", &maps, LARGEST_MAPS) == 0) {
        pi_maps_cursor cursor = {maps.data, maps.data + maps.length};
        while (!is_found && pi_maps_next(&cursor, found))
            is_found = found->start == address;
    }
    pi_buffer_free(&maps);
    return is_found;
}

bool pi_file_is_mapping(int descriptor, const struct stat *status, const pi_mapping *mapping) {
    if (!pi_file_may_be_mapping(status, mapping))
        return false;
    if (is_on_device(status, mapping))
        return true;
    size_t size = (size_t)sysconf(_SC_PAGESIZE);
    void *probe = mmap(NULL, size, PROT_NONE, MAP_PRIVATE, descriptor, 0);
    if (probe == MAP_FAILED)
        return false;
    pi_mapping own;
    bool is_same = find_own_mapping((uint64_t)(uintptr_t)probe, &own) &&
                   own.inode == mapping->inode && own.device_major == mapping->device_major &&
                   own.device_minor == mapping->device_minor;
    munmap(probe, size);
    return is_same;
}
