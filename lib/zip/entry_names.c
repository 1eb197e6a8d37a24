/* SPDX-License-Identifier: MIT */
#include "zip/entry_names.h"

#include <stdio.h>
#include <string.h>

#include "base/text.h"

enum { NUMBER_BYTES = sizeof " (18446744073709551615)" };

/* Length of what must not be in a name at the start of this text, 0 where it may. */
static size_t unsafe_length(const char *text) {
    static const char *const directions[] = {/* U+200E, F, 202A to E, 2066 to 9 */
                                             "\u200e", "\u200f", "\u202a", "\u202b",
                                             "\u202c", "\u202d", "\u202e", "\u2066",
                                             "\u2067", "\u2068", "\u2069"};
    if ((unsigned char)*text < ' ' || strchr("/\\:*?\"<>|\x7f", *text) != NULL)
        return 1;
    for (size_t i = 0; i < sizeof directions / sizeof directions[0]; i++)
        if (strncmp(text, directions[i], strlen(directions[i])) == 0)
            return strlen(directions[i]);
    return 0;
}

static void replace_unsafe(char *name) {
    char *to = name;
    for (const char *from = name; *from != '\0';) {
        size_t unsafe = unsafe_length(from);
        *to++ = unsafe != 0 ? '_' : *from;
        from += unsafe != 0 ? unsafe : 1;
    }
    *to = '\0';
}

static void replace_at_ends(char *name) {
    if (name[0] == '.')
        name[0] = '_';
    for (size_t end = strlen(name); end > 0 && strchr(". ", name[end - 1]) != NULL; end--)
        name[end - 1] = '_';
}

/* CON, PRN, AUX, NUL, COM0 to 9 and LPT0 to 9, with whatever suffix. */
static bool is_device(const char *name) {
    static const char *const devices[] = {"CON", "PRN", "AUX", "NUL", "COM", "LPT"};
    size_t length = strcspn(name, ".");
    while (length > 0 && name[length - 1] == ' ')
        length--;
    for (size_t i = 0; i < sizeof devices / sizeof devices[0]; i++) {
        if (length < 3 || !pi_ascii_equal_ignoring_case(name, 3, devices[i], 3))
            continue;
        bool is_numbered = i >= 4;
        if (is_numbered ? length == 4 && name[3] >= '0' && name[3] <= '9' : length == 3)
            return true;
    }
    return false;
}

static bool is_there_before(const pi_zip_name *names, size_t count, const char *name) {
    for (size_t i = 0; i < count; i++)
        if (pi_ascii_equal_ignoring_case(names[i].text, strlen(names[i].text), name, strlen(name)))
            return true;
    return false;
}

void pi_zip_entry_name_make(pi_zip_name *names, size_t index, const char *wished) {
    char base[PI_ZIP_NAME_BYTES - NUMBER_BYTES];
    pi_utf8_repair_into(base + 1, sizeof base - 1, wished, strlen(wished));
    base[0] = '_';
    replace_unsafe(base + 1);
    replace_at_ends(base + 1);
    const char *name = is_device(base + 1) || base[1] == '\0' ? base : base + 1;
    char *made = names[index].text;
    snprintf(made, PI_ZIP_NAME_BYTES, "%s", name);
    for (size_t number = 2; is_there_before(names, index, made); number++)
        snprintf(made, PI_ZIP_NAME_BYTES, "%s (%zu)", name, number);
}
