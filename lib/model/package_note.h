/* SPDX-License-Identifier: MIT */
#ifndef PI_MODEL_PACKAGE_NOTE_H
#define PI_MODEL_PACKAGE_NOTE_H

#include <stdbool.h>
#include <stddef.h>

/*
 * The text of an ELF object's package note: a JSON object such as
 *
 *     {"type":"deb","os":"debian","name":"zlib1g","version":"1:1.2.13.dfsg-1"}
 *
 * What is wanted of it is two strings of the outermost object; json/ is for what we write, and
 * stands above this layer.
 */
enum { PI_PACKAGE_TEXT_SIZE = 256 };

typedef struct pi_package_note {
    bool has_name;
    bool has_version;
    /* UTF-8 as far as the note is; terminated. */
    char name[PI_PACKAGE_TEXT_SIZE];
    char version[PI_PACKAGE_TEXT_SIZE];
} pi_package_note;

/* False where the text is no JSON object, or one of the two is no string or too long; *note is
 * untouched then. */
bool pi_package_note_parse(const char *text, size_t length, pi_package_note *note);

#endif
