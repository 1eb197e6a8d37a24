/* SPDX-License-Identifier: MIT */
#ifndef PI_ZIP_ENTRY_NAMES_H
#define PI_ZIP_ENTRY_NAMES_H

#include <stddef.h>

/*
 * Names of entries, made of names that somebody hostile may have chosen: whoever unpacks the zip,
 * on whatever system, gets files of that name in one folder, and no two of the same name.
 *
 * A name is UTF-8. What Windows takes for a separator, drive, stream or wildcard, what can't be
 * seen, and what turns the direction of writing becomes '_', and so do a dot at the beginning and
 * dots and spaces at the end. Windows' devices get a '_' in front. Of what is too long the
 * beginning is kept. A name that was there before, in whatever case of ASCII, gets a number behind
 * it.
 */
enum { PI_ZIP_NAME_BYTES = 200 }; /* with its NUL */

typedef struct pi_zip_name {
    char text[PI_ZIP_NAME_BYTES];
} pi_zip_name;

/* Makes names[index] of this one, different from those before it. */
void pi_zip_entry_name_make(pi_zip_name *names, size_t index, const char *wished);

#endif
