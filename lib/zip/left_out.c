/* SPDX-License-Identifier: MIT */
/* In place of all of this folder where the build has no zips (-Dzip=disabled). */
#include "zip/zip.h"

#include "base/error.h"

int32_t pi_zip_check(uint32_t level, uint32_t workers, procinspect_error *error) {
    (void)level;
    (void)workers;
    return pi_error_set(error, PROCINSPECT_ERROR_UNSUPPORTED, 0,
                        "Zips were left out of this build; use the raw format, or a build with "
                        "-Dzip=enabled.");
}

int32_t pi_zip_new(const pi_zip_options *options, pi_zip **zip, procinspect_error *error) {
    (void)zip;
    return pi_zip_check(options->level, options->workers, error);
}

/* There is none that could be read or freed. */
int32_t pi_zip_read(pi_zip *zip, void *buffer, size_t capacity, size_t *length,
                    procinspect_error *error) {
    (void)zip;
    (void)buffer;
    (void)capacity;
    (void)length;
    return pi_zip_check(0, 0, error);
}

const char *pi_zip_entry_name(const pi_zip *zip, size_t index) {
    (void)zip;
    (void)index;
    return "";
}

uint32_t pi_zip_entry_crc(const pi_zip *zip, size_t index) {
    (void)zip;
    (void)index;
    return 0;
}

uint64_t pi_zip_packed_bytes(const pi_zip *zip) {
    (void)zip;
    return 0;
}

void pi_zip_free(pi_zip *zip) {
    (void)zip;
}
