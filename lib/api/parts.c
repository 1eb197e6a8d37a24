/* SPDX-License-Identifier: MIT */
#include "api/handle.h"
#include "base/error.h"
#include "base/options.h"

/* Threads, modules and open files of one process, each alone. */

void procinspect_thread_query_init(procinspect_thread_query *query, size_t struct_size) {
    pi_options_init(query, struct_size);
}

void procinspect_module_query_init(procinspect_module_query *query, size_t struct_size) {
    pi_options_init(query, struct_size);
}

static int32_t missing_argument(const char *function, procinspect_error *error) {
    return pi_error_set(error, PROCINSPECT_ERROR_INVALID_ARGUMENT, 0,
                        "%s: process or list is NULL.", function);
}

int32_t procinspect_thread_list_read(const procinspect_process *process,
                                     const procinspect_thread_query *query,
                                     const procinspect_thread_list **list,
                                     procinspect_error *error) {
    if (process == NULL || list == NULL)
        return missing_argument("procinspect_thread_list_read", error);
    procinspect_thread_query known;
    int32_t code = pi_options_take(query, &known, sizeof known,
                                   PI_SIZE_THROUGH(procinspect_thread_query, members),
                                   "procinspect_thread_query", error);
    if (code == PROCINSPECT_OK)
        code = pi_members_check(known.members, PROCINSPECT_THREAD_EVERYTHING, error);
    if (code == PROCINSPECT_OK && known.tid < 0)
        code = pi_error_set(error, PROCINSPECT_ERROR_INVALID_ARGUMENT, 0,
                            "procinspect_thread_query: tid %d is negative.", (int)known.tid);
    if (code != PROCINSPECT_OK)
        return code;
    pi_arena *arena = pi_result_new(sizeof(procinspect_thread_list), error);
    if (arena == NULL)
        return PROCINSPECT_ERROR_NO_MEMORY;
    procinspect_thread_list *made = pi_arena_root(arena);
    code = pi_threads_read(process->platform, known.tid,
                           known.members != 0 ? known.members : PROCINSPECT_THREAD_BASIC, arena,
                           made, error);
    if (code != PROCINSPECT_OK) {
        pi_arena_free_root(made);
        return code;
    }
    *list = made;
    return PROCINSPECT_OK;
}

void procinspect_thread_list_free(const procinspect_thread_list *list) {
    pi_arena_free_root(list);
}

int32_t procinspect_module_list_read(const procinspect_process *process,
                                     const procinspect_module_query *query,
                                     const procinspect_module_list **list,
                                     procinspect_error *error) {
    if (process == NULL || list == NULL)
        return missing_argument("procinspect_module_list_read", error);
    procinspect_module_query known;
    int32_t code = pi_options_take(query, &known, sizeof known,
                                   PI_SIZE_THROUGH(procinspect_module_query, members),
                                   "procinspect_module_query", error);
    if (code == PROCINSPECT_OK)
        code = pi_members_check(known.members, PROCINSPECT_MODULE_EVERYTHING, error);
    if (code == PROCINSPECT_OK && known.flags != 0)
        code = pi_error_set(error, PROCINSPECT_ERROR_INVALID_ARGUMENT, 0,
                            "procinspect_module_query: flags must be 0.");
    if (code != PROCINSPECT_OK)
        return code;
    pi_arena *arena = pi_result_new(sizeof(procinspect_module_list), error);
    if (arena == NULL)
        return PROCINSPECT_ERROR_NO_MEMORY;
    procinspect_module_list *made = pi_arena_root(arena);
    code = pi_modules_read(process->platform, known.base_address,
                           known.members != 0 ? known.members : PROCINSPECT_MODULE_EVERYTHING,
                           arena, made, error);
    if (code != PROCINSPECT_OK) {
        pi_arena_free_root(made);
        return code;
    }
    *list = made;
    return PROCINSPECT_OK;
}

void procinspect_module_list_free(const procinspect_module_list *list) {
    pi_arena_free_root(list);
}

int32_t procinspect_open_file_list_read(const procinspect_process *process,
                                        const procinspect_open_file_list **list,
                                        procinspect_error *error) {
    if (process == NULL || list == NULL)
        return missing_argument("procinspect_open_file_list_read", error);
    pi_arena *arena = pi_result_new(sizeof(procinspect_open_file_list), error);
    if (arena == NULL)
        return PROCINSPECT_ERROR_NO_MEMORY;
    procinspect_open_file_list *made = pi_arena_root(arena);
    int32_t code = pi_open_files_read(process->platform, arena, made, error);
    if (code != PROCINSPECT_OK) {
        pi_arena_free_root(made);
        return code;
    }
    *list = made;
    return PROCINSPECT_OK;
}

void procinspect_open_file_list_free(const procinspect_open_file_list *list) {
    pi_arena_free_root(list);
}
