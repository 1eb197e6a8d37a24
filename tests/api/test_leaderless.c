/* SPDX-License-Identifier: MIT */
#include "subject.h"

#include <dirent.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

/* A process whose main thread has ended lives on in its other threads, and is told of as before. */

enum { CHAIN_READINGS = 200, SMALL_STACK = 64 * 1024 };

static procinspect_context *context;

static int open_system(void **state) {
    (void)state;
    context = context_of(NULL, PROCINSPECT_ALLOW_ENVIRONMENT, PROCINSPECT_USER_SCOPE_ALL);
    return 0;
}

static int close_system(void **state) {
    (void)state;
    procinspect_context_free(context);
    return 0;
}

/* --- Children whose main thread ends when it is told to --- */

static void end_this_thread(int signal) {
    (void)signal;
    syscall(SYS_exit, 0);
}

static void start_thread(void *(*run)(void *)) {
    pthread_attr_t attributes;
    pthread_t thread;
    pthread_attr_init(&attributes);
    pthread_attr_setstacksize(&attributes, SMALL_STACK);
    pthread_attr_setdetachstate(&attributes, PTHREAD_CREATE_DETACHED);
    if (pthread_create(&thread, &attributes, run, NULL) != 0)
        _exit(1);
    pthread_attr_destroy(&attributes);
}

static void *wait_forever(void *argument) {
    for (;;)
        pause();
    return argument;
}

/* Starts the next one and ends: whoever looks for it is late. */
static void *start_the_next(void *argument) {
    start_thread(start_the_next);
    return argument;
}

static void wait_in_threads(void) {
    signal(SIGUSR1, end_this_thread);
    start_thread(wait_forever);
    start_thread(wait_forever);
}

static void live_in_a_chain(void) {
    signal(SIGUSR1, end_this_thread);
    start_thread(start_the_next);
}

static void wait_for_thread(pid_t pid, int tid, char state) {
    char path[64], text[512] = "";
    const char *name_end = NULL;
    snprintf(path, sizeof path, "/proc/%d/task/%d/stat", (int)pid, tid);
    for (int tries = 0; tries < 10000 && (name_end == NULL || name_end[2] != state); tries++) {
        usleep(1000);
        FILE *file = fopen(path, "r");
        assert_non_null(file);
        text[fread(text, 1, sizeof text - 1, file)] = '\0';
        fclose(file);
        name_end = strrchr(text, ')');
    }
    assert_non_null(name_end);
    assert_int_equal(name_end[2], state);
}

/* A child that has said it is ready has yet to close what it said so through. */
static pid_t start_and_fall_asleep(void (*body)(void)) {
    pid_t pid = child_start(body);
    wait_for_thread(pid, pid, 'S');
    return pid;
}

/* With two threads besides, which have yet to begin when they have been started. */
static pid_t start_sleeping_threads(void) {
    pid_t pid = start_and_fall_asleep(wait_in_threads);
    char path[64];
    snprintf(path, sizeof path, "/proc/%d/task", (int)pid);
    DIR *tasks = opendir(path);
    assert_non_null(tasks);
    for (struct dirent *entry; (entry = readdir(tasks)) != NULL;)
        if (entry->d_name[0] != '.')
            wait_for_thread(pid, atoi(entry->d_name), 'S');
    closedir(tasks);
    return pid;
}

static void end_main_thread(pid_t pid) {
    assert_int_equal(syscall(SYS_tgkill, pid, pid, SIGUSR1), 0);
    wait_for_thread(pid, pid, 'Z');
}

/* --- Before and after --- */

static void same_modules(const procinspect_module_list *before,
                         const procinspect_module_list *after) {
    assert_int_equal(after->count, before->count);
    for (size_t i = 0; i < after->count; i++) {
        const procinspect_module_info *was = before->items[i], *is = after->items[i];
        assert_true(is->base_address == was->base_address && is->size_bytes == was->size_bytes);
        assert_string_equal(is->path, was->path);
        assert_true(is->known == was->known && is->flags == was->flags);
        assert_int_equal(is->build_id_length, was->build_id_length);
        assert_memory_equal(is->build_id, was->build_id, was->build_id_length);
    }
}

static void same_environment(const procinspect_environment *before,
                             const procinspect_environment *after) {
    assert_true(before->count > 0);
    assert_int_equal(after->count, before->count);
    for (size_t i = 0; i < after->count; i++) {
        assert_string_equal(after->items[i]->name, before->items[i]->name);
        assert_string_equal(after->items[i]->value, before->items[i]->value);
    }
}

static void same_open_files(const procinspect_open_file_list *before,
                            const procinspect_open_file_list *after) {
    assert_true(before->count > 0);
    assert_int_equal(after->count, before->count);
    for (size_t i = 0; i < after->count; i++) {
        assert_int_equal(after->items[i]->descriptor, before->items[i]->descriptor);
        assert_string_equal(after->items[i]->name, before->items[i]->name);
    }
}

/* By the thread that was started last. A thread that ends can take memory, and give some back. */
static uint64_t virtual_memory_bytes(pid_t pid) {
    char path[64], line[256];
    unsigned long long kilobytes = 0;
    snprintf(path, sizeof path, "/proc/%d/task", (int)pid);
    DIR *tasks = opendir(path);
    assert_non_null(tasks);
    int tid = 0;
    for (struct dirent *entry; (entry = readdir(tasks)) != NULL;)
        tid = atoi(entry->d_name) != pid && entry->d_name[0] != '.' ? atoi(entry->d_name) : tid;
    closedir(tasks);
    snprintf(path, sizeof path, "/proc/%d/task/%d/status", (int)pid, tid);
    FILE *file = fopen(path, "r");
    assert_non_null(file);
    while (fgets(line, sizeof line, file) != NULL)
        if (sscanf(line, "VmSize: %llu", &kilobytes) == 1)
            break;
    fclose(file);
    return kilobytes * 1024;
}

static void same_members(const procinspect_process_info *before,
                         const procinspect_process_info *after) {
    assert_int_equal(after->unavailable_count, before->unavailable_count);
    assert_true(after->known == before->known);
    assert_string_equal(after->name, before->name);
    assert_string_equal(after->command_line, before->command_line);
    assert_string_equal(after->executable_path, before->executable_path);
    assert_true(after->start_time_since_boot_ns == before->start_time_since_boot_ns);
    assert_int_equal(after->user_id, before->user_id);
    assert_int_equal(after->open_file_count, before->open_file_count);
    assert_true(after->virtual_memory_bytes == virtual_memory_bytes(after->pid));
    assert_true(after->resident_memory_bytes != 0);
    assert_int_equal(after->thread_count, before->thread_count);
    assert_int_equal(after->os_state, 'S');
}

static void everything_is_told_as_before(void **state) {
    (void)state;
    pid_t pid = start_sleeping_threads();
    const procinspect_process_info *before = info_of(context, pid, 0);
    end_main_thread(pid);
    const procinspect_process_info *after = info_of(context, pid, 0);
    assert_string_equal(after->name, "test_api_leaderless"); /* longer than the kernel keeps it */
    same_members(before, after);
    same_modules(before->modules, after->modules);
    same_environment(before->environment, after->environment);
    same_open_files(before->open_files, after->open_files);
    /* The main thread itself is told as what it is. */
    assert_int_equal(after->threads->count, 3);
    for (size_t i = 0; i < after->threads->count; i++)
        assert_int_equal(after->threads->items[i]->os_state,
                         after->threads->items[i]->tid == pid ? 'Z' : 'S');

    /* One module by its base, through the call for it alone. */
    procinspect_process *process = process_of(context, pid);
    procinspect_module_query query;
    procinspect_module_query_init(&query, sizeof query);
    query.base_address = before->modules->items[0]->base_address;
    const procinspect_module_list *modules;
    assert_int_equal(procinspect_module_list_read(process, &query, &modules, NULL), 0);
    assert_int_equal(modules->count, 1);
    procinspect_module_list_free(modules);
    procinspect_process_free(process);
    procinspect_process_info_free(before);
    procinspect_process_info_free(after);
    child_end(pid);
}

static void a_listing_tells_it_as_before(void **state) {
    (void)state;
    static const uint64_t alone[] = {PROCINSPECT_PROCESS_COMMAND_LINE,
                                     PROCINSPECT_PROCESS_EXECUTABLE,
                                     PROCINSPECT_PROCESS_RESIDENT_MEMORY,
                                     PROCINSPECT_PROCESS_OPEN_FILE_COUNT,
                                     PROCINSPECT_PROCESS_ENVIRONMENT,
                                     PROCINSPECT_PROCESS_SITE_ROLE,
                                     PROCINSPECT_PROCESS_BASIC};
    pid_t pid = start_sleeping_threads();
    const procinspect_process_info *before = info_of(context, pid, 0);
    end_main_thread(pid);
    procinspect_process_query query;
    procinspect_process_query_init(&query, sizeof query);
    query.flags = PROCINSPECT_PROCESS_QUERY_ALL_USERS;
    for (size_t i = 0; i < sizeof alone / sizeof alone[0]; i++) {
        query.members = alone[i];
        const procinspect_process_list *list;
        assert_int_equal(procinspect_process_list_read(context, &query, &list, NULL), 0);
        const procinspect_process_info *after = item_of(list, pid);
        assert_non_null(after);
        assert_true(after->known == alone[i]);
        procinspect_process_list_free(list);
    }
    query.members = 0;
    for (size_t i = 0; i < sizeof alone / sizeof alone[0]; i++)
        query.members |= alone[i];
    query.members |= PROCINSPECT_PROCESS_VIRTUAL_MEMORY | PROCINSPECT_PROCESS_USER_ID;
    const procinspect_process_list *list;
    assert_int_equal(procinspect_process_list_read(context, &query, &list, NULL), 0);
    const procinspect_process_info *after = item_of(list, pid);
    assert_non_null(after);
    assert_true(after->known == query.members);
    assert_string_equal(after->name, before->name);
    assert_string_equal(after->command_line, before->command_line);
    assert_string_equal(after->executable_path, before->executable_path);
    assert_int_equal(after->open_file_count, before->open_file_count);
    assert_int_equal(after->os_state, 'S');
    same_environment(before->environment, after->environment);
    procinspect_process_list_free(list);
    procinspect_process_info_free(before);
    child_end(pid);
}

/* When the others have ended, too, it is a zombie like any other. */
static void its_end(void **state) {
    (void)state;
    pid_t pid = start_sleeping_threads();
    siginfo_t ended;
    end_main_thread(pid);
    kill(pid, SIGKILL);
    assert_int_equal(waitid(P_PID, (id_t)pid, &ended, WEXITED | WNOWAIT), 0);
    const procinspect_process_info *info = info_of(context, pid, 0);
    assert_int_equal(info->os_state, 'Z');
    assert_int_equal(info->thread_count, 1);
    assert_non_null(strstr(reason_of(info, PROCINSPECT_PROCESS_COMMAND_LINE)->reason, "zombie"));
    assert_non_null(strstr(reason_of(info, PROCINSPECT_PROCESS_EXECUTABLE)->reason, "zombie"));
    assert_int_equal(info->modules->count, 0);
    assert_int_equal(info->open_files->count, 0);
    procinspect_process_info_free(info);
    child_end(pid);
}

/* No thread lives long enough to be asked for everything: all of it, or the reason why not. */
static void threads_that_end_while_they_are_asked(void **state) {
    (void)state;
    unsigned whole = 0;
    pid_t pid = start_and_fall_asleep(live_in_a_chain);
    const procinspect_process_info *before = info_of(context, pid, 0);
    end_main_thread(pid);
    procinspect_process *process = process_of(context, pid);
    for (int i = 0; i < CHAIN_READINGS; i++) {
        procinspect_error error;
        const procinspect_environment *environment;
        int32_t code = procinspect_environment_read(process, NULL, &environment, &error);
        if (code == 0) {
            same_environment(before->environment, environment);
            procinspect_environment_free(environment);
            whole++;
        } else if (code != PROCINSPECT_ERROR_IO || strstr(error.message, "try again") == NULL) {
            fail_msg("environment: %d %s", code, error.message);
        }
        const procinspect_open_file_list *files;
        code = procinspect_open_file_list_read(process, &files, &error);
        if (code == 0) {
            same_open_files(before->open_files, files);
            procinspect_open_file_list_free(files);
            whole++;
        } else if (code != PROCINSPECT_ERROR_IO || strstr(error.message, "try again") == NULL) {
            fail_msg("open files: %d %s", code, error.message);
        }
        const procinspect_module_list *modules;
        code = procinspect_module_list_read(process, NULL, &modules, &error);
        if (code == 0) {
            same_modules(before->modules, modules);
            procinspect_module_list_free(modules);
            whole++;
        } else if (code != PROCINSPECT_ERROR_IO || strstr(error.message, "try again") == NULL) {
            fail_msg("modules: %d %s", code, error.message);
        }
        const procinspect_process_info *info =
            info_of(context, pid, PROCINSPECT_PROCESS_COMMAND_LINE | PROCINSPECT_PROCESS_STATE);
        assert_true((info->known & PROCINSPECT_PROCESS_STATE) != 0);
        procinspect_process_info_free(info);
    }
    print_message("whole %u of %d\n", whole, 3 * CHAIN_READINGS);
    assert_true(whole > 0);
    procinspect_process_free(process);
    procinspect_process_info_free(before);
    child_end(pid);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(everything_is_told_as_before),
        cmocka_unit_test(a_listing_tells_it_as_before),
        cmocka_unit_test(its_end),
        cmocka_unit_test(threads_that_end_while_they_are_asked),
    };
    return cmocka_run_group_tests(tests, open_system, close_system);
}
