/* SPDX-License-Identifier: MIT */
#include <stdarg.h>
#include <stdio.h>

#include "platform/linux/capture/parts.h"

enum { TEXT_BYTES = 256 };

struct pi_capture_note {
    procinspect_dump_note note;
    struct pi_capture_note *next;
};

bool pi_capture_note(pi_capture_notes *notes, uint32_t kind, int32_t tid, const char *format, ...) {
    char text[TEXT_BYTES];
    va_list arguments;
    va_start(arguments, format);
    int length = vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    if (length < 0 || length >= (int)sizeof text)
        length = TEXT_BYTES - 1;
    struct pi_capture_note *added = pi_arena_alloc(notes->arena, sizeof *added);
    char *copy = pi_arena_copy(notes->arena, text, (size_t)length);
    if (added == NULL || copy == NULL)
        return false;
    added->note = (procinspect_dump_note){kind, tid, copy};
    if (notes->last == NULL)
        notes->first = added;
    else
        notes->last->next = added;
    notes->last = added;
    notes->count++;
    return true;
}

bool pi_capture_notes_finish(const pi_capture_notes *notes, procinspect_dump_report *report) {
    const procinspect_dump_note **items =
        pi_arena_alloc_array(notes->arena, notes->count + 1, sizeof *items);
    if (items == NULL)
        return false;
    size_t count = 0;
    for (const struct pi_capture_note *each = notes->first; each != NULL; each = each->next)
        items[count++] = &each->note;
    report->notes = items;
    report->note_count = count;
    return true;
}
