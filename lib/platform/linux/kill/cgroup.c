/* SPDX-License-Identifier: MIT */
#include "platform/linux/kill/cgroup.h"

#include "platform/linux/kill/tree.h"

enum { FILE_CAPACITY = 8192 };

/* How much a line tells; higher is better. */
enum { NOTHING, CONTROLLERS, NAMED, UNIFIED };

/* The length of the line at `at`, without its newline. */
static size_t line_at(const char *at, const char *end) {
    size_t length = 0;
    while (at + length < end && at[length] != '\n')
        length++;
    return length;
}

static bool begins_with(const char *at, const char *end, const char *text) {
    for (; *text != '\0'; at++, text++)
        if (at == end || *at != *text)
            return false;
    return true;
}

static int rank_of(const char *line, size_t length) {
    const char *end = line + length, *controllers = line, *path;
    while (controllers < end && *controllers++ != ':')
        ;
    for (path = controllers; path < end && *path++ != ':';)
        ;
    if (path == end || *path != '/' || path + 1 == end)
        return NOTHING;
    if (begins_with(controllers, end, ":"))
        return UNIFIED;
    return begins_with(controllers, end, "name=") ? NAMED : CONTROLLERS;
}

size_t pi_kill_pick_cgroup(const char *bytes, size_t length, const char **line) {
    int best = NOTHING;
    size_t best_length = 0;
    for (const char *at = bytes, *end = bytes + length; at < end;) {
        size_t here = line_at(at, end);
        int rank = at + here < end ? rank_of(at, here) : NOTHING; /* cut lines tell nothing */
        if (rank > best) {
            best = rank;
            best_length = here;
            *line = at;
        }
        at += here + 1;
    }
    return best_length;
}

static bool is_equal(const char *one, const char *other, size_t length) {
    for (size_t i = 0; i < length; i++)
        if (one[i] != other[i])
            return false;
    return true;
}

bool pi_kill_has_cgroup(const char *bytes, size_t length, const char *line, size_t line_length) {
    for (const char *at = bytes, *end = bytes + length; at < end;) {
        size_t here = line_at(at, end);
        if (at + here < end && here == line_length && is_equal(at, line, here))
            return true;
        at += here + 1;
    }
    return false;
}

const char *pi_kill_cgroup_path(const char *line) {
    for (int colons = 0; colons < 2; line++)
        if (*line == ':')
            colons++;
    return line;
}

static int32_t find_noted(const pi_kill_tree *tree, const char *line, size_t length) {
    for (uint32_t i = 0; i < tree->cgroup_count; i++)
        if (tree->cgroups[i].length == length && is_equal(tree->cgroups[i].line, line, length))
            return (int32_t)i;
    return -1;
}

void pi_kill_note_cgroups(pi_kill_tree *tree) {
    char bytes[FILE_CAPACITY];
    for (size_t i = 0; i < tree->member_count; i++) {
        const char *line = bytes;
        if (tree->cgroup_count == PI_KILL_MAX_CGROUPS)
            return;
        if (tree->members[i].has_ended)
            continue;
        long got = pi_kill_read_file(tree, tree->members[i].pid, "/cgroup", bytes, sizeof bytes);
        size_t length = got > 0 ? pi_kill_pick_cgroup(bytes, (size_t)got, &line) : 0;
        if (length == 0 || length >= PI_KILL_CGROUP_CAPACITY || find_noted(tree, line, length) >= 0)
            continue;
        pi_kill_cgroup *added = &tree->cgroups[tree->cgroup_count++];
        added->length = length;
        for (size_t j = 0; j < length; j++)
            added->line[j] = line[j];
    }
}

void pi_kill_drop_cgroups_of(pi_kill_tree *tree, int32_t pid) {
    char bytes[FILE_CAPACITY];
    long got = pi_kill_read_file(tree, pid, "/cgroup", bytes, sizeof bytes);
    for (uint32_t i = 0; got > 0 && i < tree->cgroup_count;)
        if (pi_kill_has_cgroup(bytes, (size_t)got, tree->cgroups[i].line, tree->cgroups[i].length))
            tree->cgroups[i] = tree->cgroups[--tree->cgroup_count];
        else
            i++;
}

int32_t pi_kill_find_cgroup(const pi_kill_tree *tree, int32_t pid) {
    char bytes[FILE_CAPACITY];
    if (tree->cgroup_count == 0)
        return -1;
    long got = pi_kill_read_file(tree, pid, "/cgroup", bytes, sizeof bytes);
    for (uint32_t i = 0; got > 0 && i < tree->cgroup_count; i++)
        if (pi_kill_has_cgroup(bytes, (size_t)got, tree->cgroups[i].line, tree->cgroups[i].length))
            return (int32_t)i;
    return -1;
}
