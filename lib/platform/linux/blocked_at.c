/* SPDX-License-Identifier: MIT */
#include "platform/linux/blocked_at.h"

#include "base/text.h"

/* Of the text's end: a blank, 0x and the number. It is cut off. */
static bool take_last_number(const char *text, size_t *length, uint64_t *number) {
    size_t begin = *length;
    while (begin > 0 && text[begin - 1] != ' ')
        begin--;
    if (begin == 0 || *length - begin < 3 || text[begin] != '0' || text[begin + 1] != 'x')
        return false;
    if (!pi_parse_u64_whole(text + begin + 2, *length - begin - 2, 16, number))
        return false;
    *length = begin - 1;
    return true;
}

bool pi_blocked_at(const char *text, size_t length, uint64_t *stack_pointer,
                   uint64_t *instruction_pointer) {
    uint64_t stack, instruction;
    if (length == 0 || text[length - 1] != '\n')
        return false;
    length--;
    if (!take_last_number(text, &length, &instruction) || !take_last_number(text, &length, &stack))
        return false;
    *stack_pointer = stack;
    *instruction_pointer = instruction;
    return true;
}
