/* SPDX-License-Identifier: MIT */
/* Writes a zip to its standard output, for what reads zips.
 * usage: make_zip LEVEL WORKERS [NAME KIND SIZE]…
 *   KIND  z zeros, r random, c code, i a memory image, b: breaks off halfway */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "zip/made_up.h"

enum { MOST_ENTRIES = 16, PART_BYTES = 256 * 1024 };

static made_up sources[MOST_ENTRIES];

static pi_zip_entry entry_of(char **arguments, made_up *source) {
    static const char kinds[] = "zrci";
    const char *kind = strchr(kinds, arguments[1][0]);
    made_up_init(source, kind != NULL ? (made_up_kind)(kind - kinds) : MADE_UP_CODE,
                 strtoull(arguments[2], NULL, 10));
    if (arguments[1][0] == 'b')
        source->fails_at = source->size_bytes / 2;
    return made_up_entry(arguments[0], source);
}

static int write_all(const char *bytes, size_t length) {
    while (length > 0) {
        ssize_t written = write(1, bytes, length);
        if (written < 0)
            return -1;
        bytes += written;
        length -= (size_t)written;
    }
    return 0;
}

int main(int count, char **arguments) {
    static char part[PART_BYTES];
    pi_zip_entry entries[MOST_ENTRIES];
    pi_zip_options options = {.entries = entries, .modified_unix_s = 1767323045};
    if (count < 3)
        return 2;
    options.level = (uint32_t)atoi(arguments[1]);
    options.workers = (uint32_t)atoi(arguments[2]);
    for (int i = 3; i + 2 < count && options.entry_count < MOST_ENTRIES; i += 3) {
        entries[options.entry_count] = entry_of(arguments + i, &sources[options.entry_count]);
        options.entry_count++;
    }
    pi_zip *zip;
    procinspect_error error;
    size_t length = 1;
    int32_t code = pi_zip_new(&options, &zip, &error);
    if (code == 0) {
        while ((code = pi_zip_read(zip, part, sizeof part, &length, &error)) == 0 && length != 0)
            if (write_all(part, length) != 0)
                return 3;
        pi_zip_free(zip);
    }
    if (code != 0)
        fprintf(stderr, "%s\n", error.message);
    return code != 0;
}
