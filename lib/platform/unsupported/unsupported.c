/* SPDX-License-Identifier: MIT */
#include "base/error.h"
#include "platform/platform.h"

/*
 * The template for a port: copy this folder, name it after the system, and replace one function
 * after the other. Until then every call answers "unsupported", so that the library builds and
 * links everywhere. Since no system can be opened there is never a process either.
 */

static int32_t unsupported(procinspect_error *error) {
    return pi_error_set(error, PROCINSPECT_ERROR_UNSUPPORTED, 0,
                        "libprocinspect doesn't know this operating system; it knows Linux.");
}

int32_t pi_system_open(const char *proc_root, pi_system **system, procinspect_error *error) {
    (void)proc_root;
    (void)system;
    return unsupported(error);
}

void pi_system_close(pi_system *system) {
    (void)system;
}

bool pi_system_is_live(const pi_system *system) {
    (void)system;
    return false;
}

uint32_t pi_own_user_id(void) {
    return 0;
}

bool pi_file_takes_any_order(int descriptor) {
    (void)descriptor;
    return false;
}

int32_t pi_own_pid(void) {
    return 0;
}

int32_t pi_processes_read(const pi_system *system, uint64_t members, uint64_t user_id,
                          const pi_environment_maker *environment_maker, pi_arena *arena,
                          procinspect_process_list *list, procinspect_error *error) {
    (void)system;
    (void)members;
    (void)user_id;
    (void)environment_maker;
    (void)arena;
    (void)list;
    return unsupported(error);
}

int32_t pi_process_open(const pi_system *system, int32_t pid, pi_process **process,
                        procinspect_error *error) {
    (void)system;
    (void)pid;
    (void)process;
    return unsupported(error);
}

void pi_process_close(pi_process *process) {
    (void)process;
}

int32_t pi_process_pid(const pi_process *process) {
    (void)process;
    return 0;
}

int32_t pi_process_check(const pi_process *process, procinspect_error *error) {
    (void)process;
    return unsupported(error);
}

int32_t pi_process_user_id(const pi_process *process, uint32_t *user_id, procinspect_error *error) {
    (void)process;
    (void)user_id;
    return unsupported(error);
}

int32_t pi_process_read(const pi_process *process, uint64_t members, pi_arena *arena,
                        procinspect_process_info *info, procinspect_error *error) {
    (void)process;
    (void)members;
    (void)arena;
    (void)info;
    return unsupported(error);
}

int32_t pi_threads_read(const pi_process *process, int32_t tid, uint64_t members, pi_arena *arena,
                        procinspect_thread_list *list, procinspect_error *error) {
    (void)process;
    (void)tid;
    (void)members;
    (void)arena;
    (void)list;
    return unsupported(error);
}

int32_t pi_modules_read(const pi_process *process, uint64_t base_address, uint64_t members,
                        pi_arena *arena, procinspect_module_list *list, procinspect_error *error) {
    (void)process;
    (void)base_address;
    (void)members;
    (void)arena;
    (void)list;
    return unsupported(error);
}

int32_t pi_open_files_read(const pi_process *process, pi_arena *arena,
                           procinspect_open_file_list *list, procinspect_error *error) {
    (void)process;
    (void)arena;
    (void)list;
    return unsupported(error);
}

int32_t pi_environment_read(const pi_process *process, pi_arena *arena, pi_bytes *environment,
                            procinspect_error *error) {
    (void)process;
    (void)arena;
    (void)environment;
    return unsupported(error);
}

uint32_t pi_capture_types(void) {
    return 0;
}

int32_t pi_capture(const pi_process *process, const pi_capture_request *request,
                   pi_snapshot **snapshot, procinspect_error *error) {
    (void)process;
    (void)request;
    (void)snapshot;
    return unsupported(error);
}

int32_t pi_process_kill_tree(const pi_process *process, const pi_kill_request *request,
                             pi_arena *arena, procinspect_kill_report *report,
                             procinspect_error *error) {
    (void)process;
    (void)request;
    (void)arena;
    (void)report;
    return unsupported(error);
}
