/* SPDX-License-Identifier: MIT */
#include <string.h>

#include "api/handle.h"
#include "base/error.h"
#include "base/text.h"
#include "model/environment.h"

/* What each part adds to an info, by its bit. */
typedef int32_t (*part_reader)(const procinspect_process *process, pi_arena *arena,
                               procinspect_process_info *info, procinspect_error *error);

static int32_t read_threads(const procinspect_process *process, pi_arena *arena,
                            procinspect_process_info *info, procinspect_error *error) {
    procinspect_thread_list *list = pi_arena_alloc(arena, sizeof *list);
    if (list == NULL)
        return pi_result_exhausted(arena, error);
    info->threads = list;
    return pi_threads_read(process->platform, 0, PROCINSPECT_THREAD_BASIC, arena, list, error);
}

static int32_t read_modules(const procinspect_process *process, pi_arena *arena,
                            procinspect_process_info *info, procinspect_error *error) {
    procinspect_module_list *list = pi_arena_alloc(arena, sizeof *list);
    if (list == NULL)
        return pi_result_exhausted(arena, error);
    info->modules = list;
    return pi_modules_read(process->platform, 0, PROCINSPECT_MODULE_EVERYTHING, arena, list, error);
}

static int32_t read_open_files(const procinspect_process *process, pi_arena *arena,
                               procinspect_process_info *info, procinspect_error *error) {
    procinspect_open_file_list *list = pi_arena_alloc(arena, sizeof *list);
    if (list == NULL)
        return pi_result_exhausted(arena, error);
    info->open_files = list;
    return pi_open_files_read(process->platform, arena, list, error);
}

static int32_t read_environment(const procinspect_process *process, pi_arena *arena,
                                procinspect_process_info *info, procinspect_error *error) {
    int32_t code =
        pi_policy_check(process->context, PROCINSPECT_ACTION_ENVIRONMENT, process->platform, error);
    if (code != PROCINSPECT_OK)
        return code;
    procinspect_environment *environment = pi_arena_alloc(arena, sizeof *environment);
    if (environment == NULL)
        return pi_result_exhausted(arena, error);
    info->environment = environment;
    return pi_environment_build(process, NULL, 0, arena, environment, error);
}

static bool redacts(const procinspect_context *context, const char *name) {
    return pi_policy_redacts(context, name, strlen(name)) != 0;
}

static int32_t check_web_job(const procinspect_process *process, procinspect_error *error) {
    if (redacts(process->context, "WEBJOBS_NAME") || redacts(process->context, "WEBJOBS_TYPE"))
        return pi_error_set(error, PROCINSPECT_ERROR_POLICY, 0,
                            "The host's policy holds values of environment variables back "
                            "(redacted_names of its context), and WEBJOBS_NAME or WEBJOBS_TYPE is "
                            "among them.");
    return pi_policy_check(process->context, PROCINSPECT_ACTION_ENVIRONMENT, process->platform,
                           error);
}

static int32_t read_web_job(const procinspect_process *process, pi_arena *arena,
                            procinspect_process_info *info, procinspect_error *error) {
    if (info->is_web_job == 0)
        return PROCINSPECT_OK; /* both are NULL */
    pi_bytes block;
    int32_t code = check_web_job(process, error);
    if (code == PROCINSPECT_OK)
        code = pi_environment_read(process->platform, arena, &block, error);
    if (code != PROCINSPECT_OK)
        return code;
    pi_site_role role = pi_site_role_of(block);
    const pi_bytes values[] = {role.web_job_name, role.web_job_type};
    const char **const texts[] = {&info->web_job_name, &info->web_job_type};
    for (size_t i = 0; i < 2; i++) {
        if (values[i].data == NULL)
            continue;
        *texts[i] = pi_utf8_repair(arena, values[i].data, values[i].length);
        if (*texts[i] == NULL)
            return pi_result_exhausted(arena, error);
    }
    return PROCINSPECT_OK;
}

static const struct {
    uint64_t member;
    part_reader read;
} parts[] = {
    {PROCINSPECT_PROCESS_THREADS, read_threads},
    {PROCINSPECT_PROCESS_MODULES, read_modules},
    {PROCINSPECT_PROCESS_OPEN_FILES, read_open_files},
    {PROCINSPECT_PROCESS_ENVIRONMENT, read_environment},
    {PROCINSPECT_PROCESS_WEB_JOB, read_web_job},
};
enum { PART_COUNT = sizeof parts / sizeof parts[0] };

static uint64_t part_members(void) {
    uint64_t members = 0;
    for (size_t i = 0; i < PART_COUNT; i++)
        members |= parts[i].member;
    return members;
}

/* A part that can't be read must not look like an empty one. */
static void forget_part(procinspect_process_info *info, uint64_t member) {
    if (member == PROCINSPECT_PROCESS_THREADS)
        info->threads = NULL;
    else if (member == PROCINSPECT_PROCESS_MODULES)
        info->modules = NULL;
    else if (member == PROCINSPECT_PROCESS_OPEN_FILES)
        info->open_files = NULL;
    else if (member == PROCINSPECT_PROCESS_ENVIRONMENT)
        info->environment = NULL;
    else if (member == PROCINSPECT_PROCESS_WEB_JOB)
        info->web_job_name = info->web_job_type = NULL;
}

/* Adds the reasons of the parts behind those that the platform gave. */
static int32_t add_unavailable(pi_arena *arena, procinspect_process_info *info,
                               const uint64_t *members, const procinspect_error *errors,
                               size_t count, procinspect_error *error) {
    if (count == 0)
        return PROCINSPECT_OK;
    size_t total = info->unavailable_count + count;
    const procinspect_unavailable **all = pi_arena_alloc_array(arena, total, sizeof *all);
    if (all == NULL)
        return pi_result_exhausted(arena, error);
    for (size_t i = 0; i < info->unavailable_count; i++)
        all[i] = info->unavailable[i];
    for (size_t i = 0; i < count; i++) {
        procinspect_unavailable *added = pi_arena_alloc(arena, sizeof *added);
        const char *message = errors[i].message;
        char *reason = pi_arena_copy(arena, message, strlen(message));
        if (added == NULL || reason == NULL)
            return pi_result_exhausted(arena, error);
        added->members = members[i];
        added->code = errors[i].code;
        added->os_errno = errors[i].os_errno;
        added->reason = reason;
        all[info->unavailable_count + i] = added;
    }
    info->unavailable = all;
    info->unavailable_count = total;
    return PROCINSPECT_OK;
}

/* Failures that are the whole call's: the rest concern a part and leave the others standing. */
static int is_fatal(int32_t code) {
    return code == PROCINSPECT_ERROR_GONE || code == PROCINSPECT_ERROR_REPLACED ||
           code == PROCINSPECT_ERROR_NO_MEMORY || code == PROCINSPECT_ERROR_NO_RESOURCES;
}

static bool is_explained(const procinspect_process_info *info, uint64_t member) {
    for (size_t i = 0; i < info->unavailable_count; i++)
        if ((info->unavailable[i]->members & member) != 0)
            return true;
    return false;
}

static int32_t read_parts(const procinspect_process *process, uint64_t members, pi_arena *arena,
                          procinspect_process_info *info, procinspect_error *error) {
    uint64_t failed[PART_COUNT];
    procinspect_error reasons[PART_COUNT];
    size_t failed_count = 0;
    for (size_t i = 0; i < PART_COUNT; i++) {
        if ((members & parts[i].member) == 0 || is_explained(info, parts[i].member))
            continue;
        procinspect_error reason;
        int32_t code = parts[i].read(process, arena, info, &reason);
        if (code == PROCINSPECT_OK) {
            info->known |= parts[i].member;
            continue;
        }
        /* A zombie is there, and what is gone is this part of it. */
        bool is_part_gone = code == PROCINSPECT_ERROR_GONE &&
                            pi_process_check(process->platform, NULL) == PROCINSPECT_OK;
        if (is_fatal(code) && !is_part_gone) {
            if (error != NULL)
                *error = reason;
            return code;
        }
        forget_part(info, parts[i].member);
        failed[failed_count] = parts[i].member;
        reasons[failed_count++] = reason;
    }
    return add_unavailable(arena, info, failed, reasons, failed_count, error);
}

int32_t procinspect_process_info_read(const procinspect_process *process, uint64_t members,
                                      const procinspect_process_info **info,
                                      procinspect_error *error) {
    if (process == NULL || info == NULL)
        return pi_error_set(error, PROCINSPECT_ERROR_INVALID_ARGUMENT, 0,
                            "procinspect_process_info_read: process or info is NULL.");
    int32_t code = pi_members_check(members, PROCINSPECT_PROCESS_EVERYTHING, error);
    if (code != PROCINSPECT_OK)
        return code;
    pi_arena *arena = pi_result_new(sizeof(procinspect_process_info), error);
    if (arena == NULL)
        return PROCINSPECT_ERROR_NO_MEMORY;
    if (members == 0)
        members = PROCINSPECT_PROCESS_EVERYTHING;
    if ((members & PROCINSPECT_PROCESS_WEB_JOB) != 0)
        members |= PROCINSPECT_PROCESS_SITE_ROLE;
    procinspect_process_info *made = pi_arena_root(arena);
    /* WEB_JOB: what keeps the platform from saying that it is one keeps us from its name. */
    code = pi_process_read(process->platform,
                           members & (~part_members() | PROCINSPECT_PROCESS_WEB_JOB), arena, made,
                           error);
    if (code == PROCINSPECT_OK)
        code = read_parts(process, members, arena, made, error);
    if (code != PROCINSPECT_OK) {
        pi_arena_free_root(made);
        return code;
    }
    *info = made;
    return PROCINSPECT_OK;
}

void procinspect_process_info_free(const procinspect_process_info *info) {
    pi_arena_free_root(info);
}
