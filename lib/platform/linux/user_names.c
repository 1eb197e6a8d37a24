/* SPDX-License-Identifier: MIT */
#include "platform/linux/user_names.h"

#include <errno.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/text.h"

typedef struct pi_cached_user_name {
    uint32_t user_id;
    const char *name;
} cached_name;

enum { FIRST_SCRATCH = 4096, LARGEST_SCRATCH = 1024 * 1024 };

static int grow_scratch(pi_user_names *names) {
    size_t size = names->scratch_size == 0 ? FIRST_SCRATCH : names->scratch_size * 4;
    if (size > LARGEST_SCRATCH)
        return ERANGE;
    char *scratch = realloc(names->scratch, size);
    if (scratch == NULL)
        return ENOMEM;
    names->scratch = scratch;
    names->scratch_size = size;
    return 0;
}

/* getpwuid_r, with *found NULL for a user that isn't there. */
static int ask_database(pi_user_names *names, uint32_t user_id, struct passwd *entry,
                        struct passwd **found) {
    int result = names->scratch == NULL ? grow_scratch(names) : 0;
    while (result == 0) {
        result = getpwuid_r(user_id, entry, names->scratch, names->scratch_size, found);
        if (result == ERANGE)
            result = grow_scratch(names);
        else if (result == EINTR)
            result = 0;
        else
            break;
    }
    /* How the services behind the database say that there is no such user; getpwuid_r(3) lists
     * these. */
    if (result == ENOENT || result == ESRCH || result == EBADF || result == EPERM) {
        *found = NULL;
        return 0;
    }
    return result;
}

static size_t position_of(const pi_user_names *names, uint32_t user_id) {
    size_t low = 0, high = names->count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (names->items[middle].user_id < user_id)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

static int insert(pi_user_names *names, size_t position, uint32_t user_id, const char *name) {
    if (names->count == names->capacity) {
        size_t capacity = names->capacity == 0 ? 16 : names->capacity * 2;
        cached_name *items = realloc(names->items, capacity * sizeof *items);
        if (items == NULL)
            return ENOMEM;
        names->items = items;
        names->capacity = capacity;
    }
    cached_name *at = names->items + position;
    memmove(at + 1, at, (names->count - position) * sizeof *at);
    *at = (cached_name){user_id, name};
    names->count++;
    return 0;
}

int pi_user_name(pi_user_names *names, uint32_t user_id, pi_arena *arena, const char **name) {
    size_t position = position_of(names, user_id);
    if (position < names->count && names->items[position].user_id == user_id) {
        *name = names->items[position].name;
        return 0;
    }
    struct passwd entry, *found = NULL;
    int result = ask_database(names, user_id, &entry, &found);
    if (result != 0)
        return result;
    char number[16];
    snprintf(number, sizeof number, "%u", (unsigned)user_id);
    const char *text = found != NULL ? found->pw_name : number;
    const char *copy = pi_utf8_repair(arena, text, strlen(text));
    result = copy == NULL ? ENOMEM : insert(names, position, user_id, copy);
    if (result == 0)
        *name = copy;
    return result;
}

void pi_user_names_free(pi_user_names *names) {
    free(names->items);
    free(names->scratch);
    *names = (pi_user_names){0};
}
