/* SPDX-License-Identifier: MIT */
#include <fcntl.h>

#include "platform/linux/capture/fork.h"
#include "platform/linux/trace/helper_system_call.h"

enum {
    ENTRIES_BYTES = 4096,
    PATH_BYTES = 64,
    INFO_BYTES = 512,
    FORK_EVENTS = 1 << 1 /* UFFD_FEATURE_EVENT_FORK */
};

/* Whether the text begins so. */
static bool begins_with(const char *text, const char *end, const char *beginning) {
    while (*beginning != '\0')
        if (text == end || *text++ != *beginning++)
            return false;
    return true;
}

static void join(char path[PATH_BYTES], const char *directory, const char *name) {
    char *at = path, *end = path + PATH_BYTES - 1;
    while (*directory != '\0')
        *at++ = *directory++;
    while (*name != '\0' && at < end)
        *at++ = *name++;
    *at = '\0';
}

static bool is_userfaultfd(int process_directory, const char *name) {
    char path[PATH_BYTES], target[PATH_BYTES];
    join(path, "fd/", name);
    long length =
        raw_call(SYS_readlinkat, process_directory, (long)path, (long)target, sizeof target);
    return length > 0 && begins_with(target, target + length, "anon_inode:[userfaultfd]");
}

static unsigned hexadecimal(char letter) {
    if (letter >= '0' && letter <= '9')
        return (unsigned)(letter - '0');
    return letter >= 'a' && letter <= 'f' ? (unsigned)(letter - 'a') + 10 : 16;
}

/* "API:\taa:2:ffff" in its fdinfo: the second number. */
static bool asks_for_forks(pi_helper *helper, int process_directory, const char *name) {
    static const char key[] = "API:\taa:";
    char path[PATH_BYTES], text[INFO_BYTES];
    join(path, "fdinfo/", name);
    long file = pi_helper_open(helper, process_directory, path, O_RDONLY);
    long length = file < 0 ? file : raw_read((int)file, text, sizeof text);
    if (file >= 0)
        raw_close((int)file);
    for (long i = 0; i < length; i++) {
        if (!begins_with(text + i, text + length, key))
            continue;
        uint64_t features = 0;
        for (i += (long)sizeof key - 1; i < length && hexadecimal(text[i]) < 16; i++)
            features = features << 4 | hexadecimal(text[i]);
        return (features & FORK_EVENTS) != 0;
    }
    return false;
}

bool pi_fork_has_events(pi_helper *helper, int process_directory) {
    char entries[ENTRIES_BYTES] __attribute__((aligned(8)));
    bool has_events = false;
    long length;
    long directory = pi_helper_open(helper, process_directory, "fd", O_RDONLY | O_DIRECTORY);
    if (directory < 0)
        return false;
    while (!has_events &&
           (length = raw_call(SYS_getdents64, directory, (long)entries, sizeof entries, 0)) > 0) {
        const raw_directory_entry *entry;
        for (long at = 0; at < length && !has_events; at += entry->length) {
            entry = (const raw_directory_entry *)(const void *)(entries + at);
            has_events = is_userfaultfd(process_directory, entry->name) &&
                         asks_for_forks(helper, process_directory, entry->name);
        }
    }
    raw_close((int)directory);
    return has_events;
}
