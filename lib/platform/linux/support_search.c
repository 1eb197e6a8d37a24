/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/error.h"
#include "platform/linux/linux.h"
#include "platform/linux/support_origin.h"
#include "platform/linux/support_walk.h"

struct pi_support_search {
    const pi_support_origin *origin;
    bool from_target;
    pi_file_systems systems; /* of this process */
    pi_support_root host;
    pi_support_root target;
    pi_elf elf;
};

static int32_t open_host(pi_support_search *search) {
    int self = open("/proc/self", O_PATH | O_DIRECTORY | O_CLOEXEC);
    int result = self >= 0 ? pi_file_systems_read(&search->systems, self) : 0;
    pi_close(self);
    int root = open("/", O_PATH | O_DIRECTORY | O_CLOEXEC);
    search->host = (pi_support_root){root, &search->systems, true};
    return result == -ENOMEM ? PROCINSPECT_ERROR_NO_MEMORY : PROCINSPECT_OK;
}

int32_t pi_support_search_open(const pi_support_origin *origin, bool from_target,
                               pi_support_search **search, procinspect_error *error) {
    pi_support_search *made = calloc(1, sizeof *made);
    if (made == NULL)
        return pi_error_no_memory(error);
    made->origin = origin;
    made->from_target = from_target && origin->root >= 0;
    made->target = (pi_support_root){origin->root, &origin->systems, false};
    if (open_host(made) != PROCINSPECT_OK) {
        pi_support_search_close(made);
        return pi_error_no_memory(error);
    }
    *search = made;
    return PROCINSPECT_OK;
}

void pi_support_search_close(pi_support_search *search) {
    if (search == NULL)
        return;
    pi_close(search->host.descriptor);
    pi_file_systems_free(&search->systems);
    free(search);
}

/* What a handle stands for, which is a regular file. -1 and errno. A lease on it isn't waited for.
 */
static int open_found(const pi_support_found *found) {
    char path[32];
    snprintf(path, sizeof path, "/proc/self/fd/%d", found->handle);
    int descriptor;
    do
        descriptor = open(path, O_RDONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
    while (descriptor < 0 && errno == EINTR);
    return descriptor;
}

static size_t read_elf(void *user, uint64_t position, void *buffer, size_t length) {
    const int *descriptor = user;
    size_t done = 0;
    while (done < length && position <= INT64_MAX - length) {
        ssize_t got =
            pread(*descriptor, (char *)buffer + done, length - done, (off_t)(position + done));
        if (got < 0 && errno == EINTR)
            continue;
        if (got <= 0)
            break;
        done += (size_t)got;
    }
    return done;
}

/* Does this file hold the very build that the process has mapped? NULL, else why not. */
static const char *compare_module(pi_elf *elf, const procinspect_module_info *module,
                                  int descriptor) {
    unsigned char build_id[PI_ELF_MAX_BUILD_ID], hash[PI_ELF_TEXT_HASH];
    size_t length = 0;
    pi_elf_source source = {.read = read_elf, .user = &descriptor};
    if (pi_elf_open(elf, &source) != PI_ELF_FOUND ||
        pi_elf_read_build_id(elf, build_id, &length) > PI_ELF_NONE)
        return "is no longer the module that the process has mapped";
    if (module->build_id_length != 0)
        return length == module->build_id_length && memcmp(build_id, module->build_id, length) == 0
                   ? NULL
                   : "is another build than the one that the process has mapped";
    if (module->text_hash == NULL)
        return "can't be told to be what the process has mapped, which has no build id";
    return length == 0 && pi_elf_hash_text(elf, hash) == PI_ELF_FOUND &&
                   memcmp(hash, module->text_hash, sizeof hash) == 0
               ? NULL
               : "is another build than the one that the process has mapped";
}

/* Is the module, by its path below this root, what the process has mapped? Else fills file->text.
 */
static bool has_module(pi_support_search *search, const pi_support_root *root,
                       const procinspect_module_info *module, pi_support_file *file) {
    pi_support_found found;
    pi_support_walk(root, module->path_bytes, &found);
    if (found.handle < 0) {
        snprintf(file->text, sizeof file->text, "The module: %s", found.reason);
        return false;
    }
    int descriptor = open_found(&found);
    pi_close(found.handle);
    const char *problem =
        descriptor < 0 ? strerrordesc_np(errno) : compare_module(&search->elf, module, descriptor);
    if (problem != NULL)
        snprintf(file->text, sizeof file->text, "The module's file by that name %s%s.",
                 descriptor < 0 ? "can't be opened: " : "", problem);
    pi_close(descriptor);
    return problem == NULL;
}

static bool refuse(pi_support_file *file, const char *reason) {
    snprintf(file->text, sizeof file->text, "%s", reason);
    return false;
}

/* Is it what its name says? Else fills file->text. */
static bool check_content(pi_support_search *search, pi_support_kind kind, pi_support_file *file) {
    char soname[PI_ELF_MAX_SONAME], head[4096];
    if (kind == PI_SUPPORT_SCRIPT) {
        size_t length = read_elf(&file->descriptor, 0, head, sizeof head);
        return memchr(head, '\0', length) == NULL ||
               refuse(file, "The file is no text, as a script would be.");
    }
    pi_elf_source source = {.read = read_elf, .user = &file->descriptor};
    if (pi_elf_open(&search->elf, &source) != PI_ELF_FOUND)
        return refuse(file, "The file is no ELF object, as its name says.");
    if (pi_elf_read_soname(&search->elf, soname) == PI_ELF_FOUND &&
        strcmp(soname, strrchr(file->path, '/') + 1) != 0)
        return refuse(file, "The file calls itself by another name (SONAME).");
    if (pi_elf_read_build_id(&search->elf, file->build_id, &file->build_id_length) != PI_ELF_FOUND)
        file->build_id_length = 0;
    return true;
}

static int64_t nanoseconds(struct statx_timestamp time) {
    return time.tv_sec * 1000000000 + time.tv_nsec;
}

/* Opens what was found, and looks at it. Else fills file->text. */
static bool take(pi_support_search *search, pi_support_kind kind, const pi_support_found *found,
                 uint64_t max_bytes, pi_support_file *file) {
    const struct statx *status = &found->status;
    if (status->stx_size == 0)
        return refuse(file, "The file is empty.");
    if (status->stx_size > max_bytes) {
        snprintf(file->text, sizeof file->text,
                 "The file has %llu bytes, and %llu is the most that is left of what the support "
                 "files may have; raise max_support_bytes.",
                 (unsigned long long)status->stx_size, (unsigned long long)max_bytes);
        return false;
    }
    file->descriptor = open_found(found);
    if (file->descriptor < 0) {
        snprintf(file->text, sizeof file->text, "The file can't be opened: %s.",
                 strerrordesc_np(errno));
        return false;
    }
    file->size_bytes = status->stx_size;
    file->changed_ns[0] = nanoseconds(status->stx_mtime);
    file->changed_ns[1] = nanoseconds(status->stx_ctime);
    if (check_content(search, kind, file))
        return true;
    pi_close(file->descriptor);
    file->descriptor = -1;
    return false;
}

/* The first place below this root that has the file, and that of the module. */
static pi_support_answer find_below(pi_support_search *search, const pi_support_root *root,
                                    const pi_support_rule *rule,
                                    const procinspect_module_info *module, uint64_t max_bytes,
                                    pi_support_file *file) {
    pi_support_answer answer = PI_SUPPORT_ABSENT;
    char text[sizeof file->text] = "";
    pi_support_found found;
    for (size_t i = 0; i < PI_SUPPORT_PLACES; i++) {
        if (!pi_support_place(rule, i, module->path_bytes, file->path, sizeof file->path))
            continue;
        pi_support_walk(root, file->path, &found);
        file->is_seen |= found.is_seen;
        if (found.handle >= 0) {
            bool is_taken = has_module(search, root, module, file) &&
                            take(search, rule->kind, &found, max_bytes, file);
            pi_close(found.handle);
            if (is_taken)
                return PI_SUPPORT_FOUND;
        } else {
            snprintf(file->text, sizeof file->text, "%s", found.reason);
        }
        /* That there is one says more than that there is none. */
        bool is_there = found.handle >= 0 || found.os_errno != ENOENT;
        if (is_there && answer == PI_SUPPORT_ABSENT) {
            answer = PI_SUPPORT_REFUSED;
            memcpy(text, file->text, sizeof text);
        }
    }
    pi_support_place(rule, 0, module->path_bytes, file->path, sizeof file->path);
    snprintf(file->text, sizeof file->text, "%s",
             answer == PI_SUPPORT_REFUSED ? text : "There is no such file.");
    return answer;
}

static pi_support_answer find_in_host(pi_support_search *search, const pi_support_rule *rule,
                                      const procinspect_module_info *module, uint64_t max_bytes,
                                      pi_support_file *file) {
    if (search->host.descriptor < 0) {
        refuse(file, "The host's root directory can't be opened.");
        return PI_SUPPORT_REFUSED;
    }
    if (search->origin->is_host_safe)
        return find_below(search, &search->host, rule, module, max_bytes, file);
    refuse(file,
           "The process has rights of root and is in another mount namespace, or nobody knows "
           "in which: it might have written files of the host's.");
    return PI_SUPPORT_REFUSED;
}

/* What could still be done where the host has no such file. */
static void explain(const pi_support_search *search, pi_support_file *file) {
    size_t length = strlen(file->text);
    const char *more =
        search->from_target ? ""
        : search->origin->root >= 0
            ? " The process is in another mount namespace: PROCINSPECT_ZIP_FROM_TARGET looks there."
        : search->origin->is_elsewhere
            ? " The process is in another mount namespace, which can't be looked at."
            : "";
    snprintf(file->text + length, sizeof file->text - length, "%s", more);
}

void pi_support_find(pi_support_search *search, const pi_support_rule *rule,
                     const procinspect_module_info *module, uint64_t max_bytes,
                     pi_support_file *file) {
    *file = (pi_support_file){.descriptor = -1};
    if (!pi_support_place(rule, 0, module->path_bytes, file->path, sizeof file->path)) {
        file->answer = PI_SUPPORT_REFUSED;
        refuse(file, "Its path would be too long.");
        return;
    }
    file->answer = find_in_host(search, rule, module, max_bytes, file);
    if (file->answer != PI_SUPPORT_FOUND && search->from_target) {
        pi_support_answer answer =
            find_below(search, &search->target, rule, module, max_bytes, file);
        file->from_target = true;
        file->answer = answer;
    }
    if (file->answer != PI_SUPPORT_FOUND)
        explain(search, file);
}

const char *pi_support_file_read(const pi_support_file *file, uint64_t offset, void *buffer,
                                 size_t capacity, size_t *length) {
    *length = 0;
    if (offset >= file->size_bytes)
        return NULL;
    if (file->size_bytes - offset < capacity)
        capacity = (size_t)(file->size_bytes - offset);
    ssize_t got;
    do
        got = pread(file->descriptor, buffer, capacity, (off_t)offset);
    while (got < 0 && errno == EINTR);
    if (got < 0)
        return strerrordesc_np(errno);
    *length = (size_t)got;
    return got == 0 ? "it became shorter while it was read" : NULL;
}

const char *pi_support_file_check(const pi_support_file *file) {
    struct statx now;
    if (statx(file->descriptor, "", AT_EMPTY_PATH, STATX_BASIC_STATS, &now) != 0)
        return strerrordesc_np(errno);
    return now.stx_size == file->size_bytes && nanoseconds(now.stx_mtime) == file->changed_ns[0] &&
                   nanoseconds(now.stx_ctime) == file->changed_ns[1]
               ? NULL
               : "it was changed while it was read";
}
