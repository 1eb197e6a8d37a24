/* SPDX-License-Identifier: MIT */
#include "subject.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

/* Real children, whose members this test knows because it made them so. */

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

static int64_t now_unix_ns(void) {
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    return now.tv_sec * INT64_C(1000000000) + now.tv_nsec;
}

/* A child that has said it is ready still runs a little. */
static void fall_asleep(pid_t pid) {
    uint32_t os_state = 0;
    for (int tries = 0; tries < 1000 && os_state != 'S'; tries++) {
        const procinspect_process_info *info = info_of(context, pid, PROCINSPECT_PROCESS_STATE);
        os_state = info->os_state;
        procinspect_process_info_free(info);
        usleep(1000);
    }
    assert_int_equal(os_state, 'S');
}

/* What anyone may set, whatever the tests run at. */
enum { CHILD_NICE = 19 };

static void make_group(void) {
    setpgid(0, 0);
    setpriority(PRIO_PROCESS, 0, CHILD_NICE);
    prctl(PR_SET_NAME, ") R 1 (\n\xff");
}

static void what_a_child_is(void **state) {
    (void)state;
    int64_t before = now_unix_ns();
    pid_t pid = child_start(make_group);
    int64_t after = now_unix_ns();
    fall_asleep(pid);
    const procinspect_process_info *info = info_of(context, pid, 0);
    assert_true(info->known == PROCINSPECT_PROCESS_EVERYTHING);
    assert_int_equal(info->unavailable_count, 0);
    assert_string_equal(info->name, ") R 1 (\n\xef\xbf\xbd");
    assert_int_equal(info->parent_pid, getpid());
    assert_int_equal(info->process_group_id, pid);
    assert_int_equal(info->session_id, getsid(0));
    assert_int_equal(info->os_state, 'S');
    assert_int_equal(info->nice, CHILD_NICE);
    assert_int_equal(info->thread_count, 1);
    assert_int_equal(info->user_id, geteuid());
    /* A tick is 10 ms; the clock may be set a little meanwhile. */
    assert_true(info->start_time_unix_ns > before - 20000000);
    assert_true(info->start_time_unix_ns < after + 10000000);
    char own[4096];
    ssize_t length = readlink("/proc/self/exe", own, sizeof own);
    assert_int_equal(info->executable_path_bytes_length, length);
    assert_memory_equal(info->executable_path_bytes, own, (size_t)length);
    assert_int_equal(info->tracer_pid, 0);
    assert_in_range(info->resident_memory_bytes, 4096, info->virtual_memory_bytes);
    assert_true(info->peak_virtual_memory_bytes >= info->virtual_memory_bytes);
    assert_true(info->peak_resident_memory_bytes >= info->resident_memory_bytes);
    assert_int_equal(info->child_count, 0);
    assert_int_equal(info->threads->count, 1);
    assert_int_equal(info->threads->items[0]->tid, pid);
    assert_int_equal(info->open_files->count, info->open_file_count);
    assert_true(info->modules->count > 1);
    assert_true(info->environment->count > 0);
    procinspect_process_info_free(info);

    info = info_of(context, getpid(), PROCINSPECT_PROCESS_CHILDREN);
    assert_int_equal(info->child_count, 1);
    assert_int_equal(info->child_pids[0], pid);
    procinspect_process_info_free(info);
    child_end(pid);
}

/* An argument vector and environment for a program that only waits. */
static pid_t wait_as(const char *path, const char *const arguments[],
                     const char *const environment[]) {
    int ready[2];
    assert_int_equal(pipe2(ready, O_CLOEXEC), 0);
    pid_t pid = fork();
    if (pid == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        /* Its prototype is older than const. */
        execve(path, (char *const *)(uintptr_t)arguments, (char *const *)(uintptr_t)environment);
        _exit(127);
    }
    close(ready[1]);
    char byte;
    assert_int_equal(read(ready[0], &byte, 1), 0); /* exec closed it */
    close(ready[0]);
    return pid;
}

static void cut_names_and_binary_arguments(void **state) {
    (void)state;
    char folder[] = "/tmp/procinspect-names-XXXXXX", path[128], command[512];
    assert_non_null(mkdtemp(folder));
    assert_int_equal(chmod(folder, 0755), 0);
    snprintf(path, sizeof path, "%s/a-name-longer-than-fifteen bytes", folder);
    snprintf(command, sizeof command, "cp /bin/sleep '%s'", path);
    assert_int_equal(system(command), 0);
    const char *const arguments[] = {path, "1000\0", NULL};
    const char *const environment[] = {"A=1",  "B=\xff\xfe",       "A=2",
                                       "none", "WEBJOBS_NAME=job", NULL};
    pid_t pid = wait_as(path, arguments, environment);
    const procinspect_process_info *info = info_of(context, pid, 0);
    assert_string_equal(info->name, "a-name-longer-than-fifteen bytes");
    assert_string_equal(info->executable_path, path);
    char expected[256];
    snprintf(expected, sizeof expected, "%s 1000", path);
    assert_string_equal(info->command_line, expected);
    assert_int_equal(info->command_line_bytes_length, strlen(expected) + 1);
    assert_int_equal(info->is_web_job, 1);
    assert_string_equal(info->web_job_name, "job");
    assert_null(info->web_job_type);
    assert_int_equal(info->environment->count, 3);
    assert_string_equal(info->environment->items[0]->name, "A");
    assert_string_equal(info->environment->items[0]->value, "1");
    assert_string_equal(info->environment->items[1]->value, "\xef\xbf\xbd\xef\xbf\xbd");
    assert_int_equal(info->environment->items[1]->value_bytes_length, 2);
    assert_memory_equal(info->environment->items[1]->value_bytes, "\xff\xfe", 2);
    procinspect_process_info_free(info);

    /* Deleted: the path stays what it was. */
    assert_int_equal(unlink(path), 0);
    info = info_of(context, pid, PROCINSPECT_PROCESS_EXECUTABLE);
    assert_string_equal(info->executable_path, path);
    procinspect_process_info_free(info);
    child_end(pid);
    assert_int_equal(rmdir(folder), 0);
}

static void a_file_that_is_really_called_deleted(void **state) {
    (void)state;
    char folder[] = "/tmp/procinspect-names-XXXXXX", path[128], command[512];
    assert_non_null(mkdtemp(folder));
    assert_int_equal(chmod(folder, 0755), 0);
    snprintf(path, sizeof path, "%s/sleep (deleted)", folder);
    snprintf(command, sizeof command, "cp /bin/sleep '%s'", path);
    assert_int_equal(system(command), 0);
    const char *const arguments[] = {"", "1000", NULL};
    const char *const environment[] = {NULL};
    pid_t pid = wait_as(path, arguments, environment);
    const procinspect_process_info *info =
        info_of(context, pid,
                PROCINSPECT_PROCESS_EXECUTABLE | PROCINSPECT_PROCESS_COMMAND_LINE |
                    PROCINSPECT_PROCESS_ENVIRONMENT);
    assert_string_equal(info->executable_path, path);
    assert_string_equal(info->command_line, " 1000");
    assert_true((info->known & PROCINSPECT_PROCESS_ENVIRONMENT) != 0);
    assert_int_equal(info->environment->count, 0);
    procinspect_process_info_free(info);
    assert_int_equal(unlink(path), 0);
    info = info_of(context, pid, PROCINSPECT_PROCESS_EXECUTABLE);
    assert_string_equal(info->executable_path, path); /* the kernel's mark alone is taken off */
    procinspect_process_info_free(info);
    child_end(pid);
    assert_int_equal(rmdir(folder), 0);
}

static void a_zombie(void **state) {
    (void)state;
    pid_t pid = fork();
    if (pid == 0)
        _exit(0);
    siginfo_t ended;
    assert_int_equal(waitid(P_PID, (id_t)pid, &ended, WEXITED | WNOWAIT), 0);
    procinspect_process *process = process_of(context, pid);
    assert_int_equal(procinspect_process_check(process, NULL), PROCINSPECT_OK);
    const procinspect_process_info *info;
    assert_int_equal(procinspect_process_info_read(process, 0, &info, NULL), PROCINSPECT_OK);
    assert_int_equal(info->os_state, 'Z');
    assert_non_null(strstr(reason_of(info, PROCINSPECT_PROCESS_COMMAND_LINE)->reason, "zombie"));
    assert_non_null(strstr(reason_of(info, PROCINSPECT_PROCESS_ENVIRONMENT)->reason, "zombie"));
    assert_null(info->environment);
    assert_non_null(strstr(reason_of(info, PROCINSPECT_PROCESS_RESIDENT_MEMORY)->reason, "zombie"));
    assert_non_null(strstr(reason_of(info, PROCINSPECT_PROCESS_EXECUTABLE)->reason, "zombie"));
    reason_of(info, PROCINSPECT_PROCESS_SITE_ROLE | PROCINSPECT_PROCESS_WEB_JOB);
    const uint64_t empty = PROCINSPECT_PROCESS_MODULES | PROCINSPECT_PROCESS_OPEN_FILES |
                           PROCINSPECT_PROCESS_OPEN_FILE_COUNT;
    assert_true((info->known & empty) == empty);
    assert_int_equal(info->modules->count, 0);
    assert_int_equal(info->open_files->count, 0);
    assert_int_equal(info->open_file_count, 0);
    assert_int_equal(info->threads->items[0]->os_state, 'Z');
    procinspect_process_info_free(info);
    procinspect_thread_query query;
    procinspect_thread_query_init(&query, sizeof query);
    query.members = PROCINSPECT_THREAD_WAIT_REASON;
    const procinspect_thread_list *threads;
    assert_int_equal(procinspect_thread_list_read(process, &query, &threads, NULL), PROCINSPECT_OK);
    assert_int_equal(threads->items[0]->wait_reason, PROCINSPECT_WAIT_NONE);
    procinspect_thread_list_free(threads);
    waitpid(pid, NULL, 0);
    procinspect_error error;
    assert_int_equal(procinspect_process_check(process, &error), PROCINSPECT_ERROR_GONE);
    procinspect_process_free(process);
}

static void *sleep_as(void *name) {
    prctl(PR_SET_NAME, name);
    if (strcmp(name, "delayed") == 0)
        for (;;)
            nanosleep(&(struct timespec){.tv_sec = 1000}, NULL);
    for (;;)
        pause();
    return NULL;
}

static void start_threads(void) {
    static char waits[] = "waits", delayed[] = "delayed";
    char *const names[] = {waits, delayed};
    for (size_t i = 0; i < 2; i++) {
        pthread_t thread;
        pthread_create(&thread, NULL, sleep_as, names[i]);
    }
}

static const procinspect_thread_info *thread_named(const procinspect_thread_list *list,
                                                   const char *name) {
    for (size_t i = 0; i < list->count; i++)
        if (strcmp(list->items[i]->name, name) == 0)
            return list->items[i];
    return NULL;
}

/* Threads are named and fall asleep when they like: asks until `name` waits for `reason`. */
static void waits_for(const procinspect_process *process, const char *name, uint32_t reason) {
    procinspect_thread_query query;
    procinspect_thread_query_init(&query, sizeof query);
    query.members = PROCINSPECT_THREAD_EVERYTHING;
    for (int tries = 0; tries < 1000; tries++) {
        const procinspect_thread_list *list;
        assert_int_equal(procinspect_thread_list_read(process, &query, &list, NULL),
                         PROCINSPECT_OK);
        assert_int_equal(list->count, 3);
        const procinspect_thread_info *thread = thread_named(list, name);
        bool found = thread != NULL && thread->wait_reason == reason &&
                     thread->known == PROCINSPECT_THREAD_EVERYTHING;
        procinspect_thread_list_free(list);
        if (found)
            return;
        usleep(10000);
    }
    fail_msg("%s doesn't wait for %u", name, (unsigned)reason);
}

static void threads_by_name_and_wait(void **state) {
    (void)state;
    pid_t pid = child_start(start_threads);
    procinspect_process *process = process_of(context, pid);
    waits_for(process, "waits", PROCINSPECT_WAIT_UNKNOWN);
    /* Without ptrace access the reason of a sleeper stays unknown, and is no error. Yama's scope 1
     * lets a process look at its own children. */
    FILE *scope = fopen("/proc/sys/kernel/yama/ptrace_scope", "r");
    int level = 0;
    if (scope != NULL && (fscanf(scope, "%d", &level) != 1 || fclose(scope) != 0))
        level = 0;
    waits_for(process, "delayed",
              level <= (geteuid() == 0 ? 2 : 1) ? PROCINSPECT_WAIT_DELAY
                                                : PROCINSPECT_WAIT_UNKNOWN);
    kill(pid, SIGSTOP);
    waits_for(process, "delayed", PROCINSPECT_WAIT_SUSPENDED);
    procinspect_process_free(process);
    child_end(pid);
}

static int socket_descriptor = 500, path_descriptor = 501;

static void open_some(void) {
    int made = socket(AF_UNIX, SOCK_STREAM, 0);
    dup2(made, socket_descriptor);
    close(made);
    made = open("/dev/null", O_RDONLY);
    dup2(made, path_descriptor);
    close(made);
}

static void open_files_of_a_child(void **state) {
    (void)state;
    pid_t pid = child_start(open_some);
    procinspect_process *process = process_of(context, pid);
    const procinspect_open_file_list *list;
    assert_int_equal(procinspect_open_file_list_read(process, &list, NULL), PROCINSPECT_OK);
    const procinspect_open_file *last = list->items[list->count - 1];
    assert_int_equal(last->descriptor, path_descriptor);
    assert_int_equal(last->kind, PROCINSPECT_OPEN_FILE_PATH);
    assert_string_equal(last->name, "/dev/null");
    last = list->items[list->count - 2];
    assert_int_equal(last->descriptor, socket_descriptor);
    assert_int_equal(last->kind, PROCINSPECT_OPEN_FILE_SOCKET);
    assert_memory_equal(last->name, "socket:[", 8);
    procinspect_open_file_list_free(list);
    procinspect_process_free(process);
    child_end(pid);
}

/* Processes begin and end all the time, and none of them disturbs a listing. */
static void a_listing_amid_processes_that_end(void **state) {
    (void)state;
    pid_t forker = fork();
    if (forker == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        signal(SIGCHLD, SIG_IGN);
        for (;;) {
            if (fork() == 0)
                _exit(0);
            usleep(100);
        }
    }
    procinspect_process_query query;
    procinspect_process_query_init(&query, sizeof query);
    query.flags = PROCINSPECT_PROCESS_QUERY_ALL_USERS;
    query.members = PROCINSPECT_PROCESS_BASIC | PROCINSPECT_PROCESS_COMMAND_LINE |
                    PROCINSPECT_PROCESS_USER_ID | PROCINSPECT_PROCESS_SITE_ROLE |
                    PROCINSPECT_PROCESS_EXECUTABLE | PROCINSPECT_PROCESS_RESIDENT_MEMORY |
                    PROCINSPECT_PROCESS_OPEN_FILE_COUNT;
    for (int i = 0; i < 100; i++) {
        const procinspect_process_list *list;
        procinspect_error error;
        if (procinspect_process_list_read(context, &query, &list, &error) != PROCINSPECT_OK)
            fail_msg("%s", error.message);
        assert_non_null(item_of(list, getpid()));
        for (size_t k = 0; k < list->count; k++) { /* what is neither known nor explained */
            uint64_t accounted = list->items[k]->known;
            for (size_t u = 0; u < list->items[k]->unavailable_count; u++)
                accounted |= list->items[k]->unavailable[u]->members;
            assert_true(accounted == query.members);
        }
        procinspect_process_list_free(list);
    }
    child_end(forker);
}

enum { NOBODY = 65534, NO_NAMESPACES = 77 };

static int open_hidden(void) {
    procinspect_process *process;
    procinspect_error error;
    if (setresgid(NOBODY, NOBODY, NOBODY) != 0 || setresuid(NOBODY, NOBODY, NOBODY) != 0)
        return NO_NAMESPACES;
    context = context_of(NULL, 0, PROCINSPECT_USER_SCOPE_ALL);
    if (procinspect_process_open(context, 1, &process, &error) != PROCINSPECT_ERROR_PERMISSION ||
        strstr(error.message, "hidepid") == NULL)
        return 1;
    return procinspect_process_open(context, 4000000, &process, &error) ==
                   PROCINSPECT_ERROR_NOT_FOUND
               ? 0
               : 2;
}

static int exit_status_of(pid_t pid) {
    int status;
    return pid > 0 && waitpid(pid, &status, 0) == pid && WIFEXITED(status) ? WEXITSTATUS(status)
                                                                           : 99;
}

/* In namespaces of its own, where it is process 1. */
static int hide_and_open(void) {
    if (mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) != 0 ||
        mount("proc", "/proc", "proc", 0, "hidepid=2") != 0)
        return NO_NAMESPACES;
    pid_t user = fork();
    if (user == 0)
        _exit(open_hidden());
    return exit_status_of(user);
}

static void what_proc_hides(void **state) {
    (void)state;
    fflush(NULL);
    pid_t pid = fork();
    if (pid == 0) {
        if (unshare(CLONE_NEWNS | CLONE_NEWPID) != 0)
            _exit(NO_NAMESPACES);
        pid_t first = fork();
        if (first == 0)
            _exit(hide_and_open());
        _exit(exit_status_of(first));
    }
    int status = exit_status_of(pid);
    if (status == NO_NAMESPACES)
        skip();
    assert_int_equal(status, 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_a_child_is),
        cmocka_unit_test(cut_names_and_binary_arguments),
        cmocka_unit_test(a_file_that_is_really_called_deleted),
        cmocka_unit_test(a_zombie),
        cmocka_unit_test(threads_by_name_and_wait),
        cmocka_unit_test(open_files_of_a_child),
        cmocka_unit_test(a_listing_amid_processes_that_end),
        cmocka_unit_test(what_proc_hides),
    };
    return cmocka_run_group_tests(tests, open_system, close_system);
}
