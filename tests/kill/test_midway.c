/* Helper or host are killed while a tree is being ended: what is left of it runs on. A number that
 * was given to another process is not hit.
 */
#include "kill/tree_run.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>

#include <cmocka.h>

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "kill/restrict.h"

enum { FEW = 20, MANY = 1000, LONGEST_DELAY_US = 4000, SETTLE_STEPS = 2000, QUIET_STEPS = 50 };

static void sleep_us(long us) {
    nanosleep(&(struct timespec){.tv_sec = us / 1000000, .tv_nsec = us % 1000000 * 1000}, NULL);
}

static int count_stopped(const tree_log *log) {
    int stopped = 0;
    for (int i = 0; i < atomic_load(&log->count); i++) {
        char state = tree_state(log->processes[i].pid, NULL);
        stopped += state == 'T' || state == 't';
    }
    return stopped;
}

/* Does nothing stay stopped? A helper whose host just died stops some more before it notices. */
static bool settles(const tree_log *log) {
    int quiet = 0;
    for (int step = 0; step < SETTLE_STEPS && quiet < QUIET_STEPS; step++) {
        sleep_us(1000);
        quiet = count_stopped(log) == 0 ? quiet + 1 : 0;
    }
    return quiet == QUIET_STEPS;
}

/* A host of its own, which ends the tree; under the restriction without tracing. */
static pid_t start_host(pid_t root, const procinspect_kill_options *options, bool is_restricted) {
    pid_t host = fork();
    assert_true(host >= 0);
    if (host == 0) {
        procinspect_error error;
        if (!is_restricted || restrict_thread(true))
            tree_try_to_end(root, options, &error);
        _exit(0);
    }
    return host;
}

/* Ends trees from a host of its own, which or whose helper is killed at some point. Where it is
 * restricted the members are stopped by SIGSTOP. */
static void kill_midway(bool kill_helper, bool is_restricted) {
    int hits = 0;
    for (int i = tree_runs(FEW, MANY); i > 0; i--) {
        tree_run run;
        bool witnesses_are_well;
        tree_start(&run, NULL, "wide", 40);
        pid_t host = start_host(run.root, NULL, is_restricted);
        sleep_us(rand() % LONGEST_DELAY_US);
        pid_t helper = kill_helper ? tree_child_of(host) : 0;
        if (helper != 0)
            hits += kill(helper, SIGKILL) == 0;
        if (!kill_helper)
            hits += kill(host, SIGKILL) == 0;
        tree_wait_for_end(host);
        assert_true(settles(run.log));
        tree_clear(&run, 0, &witnesses_are_well);
        assert_true(witnesses_are_well);
    }
    assert_true(hits > 0);
}

static void nothing_stays_stopped_when_the_helper_dies(void **state) {
    (void)state;
    kill_midway(true, false);
    kill_midway(true, true);
}

static void nothing_stays_stopped_when_the_host_dies(void **state) {
    (void)state;
    kill_midway(false, false);
    kill_midway(false, true);
}

/* Whether the process has no part in its parent's share of the processors, and the largest that it
 * may have: of those, too, that the kernel gives to sessions, where it does. */
static bool is_ahead(pid_t pid) {
    char path[64], share[128] = "";
    snprintf(path, sizeof path, "/proc/%d/autogroup", (int)pid);
    int file = open(path, O_RDONLY | O_CLOEXEC);
    bool has_share = file >= 0 && read(file, share, sizeof share - 1) > 0;
    if (file >= 0)
        close(file);
    bool may_have_more = getpriority(PRIO_PROCESS, (id_t)pid) == -20;
    return getsid(pid) == pid &&
           (!has_share || !may_have_more || strstr(share, " nice -20\n") != NULL);
}

static void the_helper_gets_ahead_of_the_tree(void **state) {
    (void)state;
    procinspect_kill_options options;
    procinspect_kill_options_init(&options, sizeof options);
    options.grace_ms = 20000;
    tree_run run;
    bool witnesses_are_well;
    tree_start(&run, NULL, "deaf", 3);
    pid_t host = start_host(run.root, &options, false);
    bool gets_ahead = false;
    for (int step = 0; step < SETTLE_STEPS && !gets_ahead; step++) {
        sleep_us(1000);
        pid_t helper = tree_child_of(host);
        gets_ahead = helper != 0 && is_ahead(helper);
    }
    kill(host, SIGKILL);
    tree_wait_for_end(host);
    assert_true(gets_ahead);
    assert_true(settles(run.log));
    tree_clear(&run, 0, &witnesses_are_well);
    assert_true(witnesses_are_well);
}

static void options_that_are_none(void **state) {
    (void)state;
    procinspect_error error = {0};
    procinspect_kill_options options;
    procinspect_kill_options_init(&options, sizeof options);
    options.flags = 0x80;
    assert_int_equal(tree_try_to_end(getpid(), &options, &error),
                     PROCINSPECT_ERROR_INVALID_ARGUMENT);
    options.flags = 0;
    options.grace_ms = PROCINSPECT_KILL_LONGEST_MS + 1;
    assert_int_equal(tree_try_to_end(getpid(), &options, &error),
                     PROCINSPECT_ERROR_INVALID_ARGUMENT);
}

static void only_check_touches_nothing(void **state) {
    (void)state;
    procinspect_kill_options options;
    procinspect_kill_options_init(&options, sizeof options);
    options.flags = PROCINSPECT_KILL_ONLY_CHECK;
    options.grace_ms = 1000;
    tree_run run;
    bool witnesses_are_well;
    tree_start(&run, NULL, "wide", 5);
    const procinspect_kill_report *report = tree_end(&run, &options);
    assert_int_equal(report->count, 6);
    for (size_t i = 0; i < report->count; i++) {
        assert_int_equal(report->items[i]->outcome, PROCINSPECT_KILL_NOT_TRIED);
        assert_string_equal(report->items[i]->name, "tree");
        assert_int_equal(tree_state(report->items[i]->pid, NULL), 'S');
    }
    procinspect_kill_report_free(report);
    assert_true(tree_clear(&run, 0, &witnesses_are_well) >= 6);
    assert_true(witnesses_are_well);
}

/* In a namespace where the next number can be chosen: the handle's process ends, and a stranger
 * gets its number. */
static int recycle(void) {
    pid_t first = fork();
    if (first == 0)
        for (;;)
            pause();
    procinspect_context *context = tree_context();
    procinspect_process *process = NULL;
    procinspect_error error = {0};
    if (procinspect_process_open(context, first, &process, &error) != PROCINSPECT_OK)
        return 2;
    kill(first, SIGKILL);
    waitpid(first, NULL, 0);
    FILE *last = fopen("/proc/sys/kernel/ns_last_pid", "w");
    bool is_set = last != NULL && fprintf(last, "%d", (int)first - 1) > 0;
    if (last != NULL && fclose(last) != 0)
        is_set = false;
    pid_t stranger = fork();
    if (stranger == 0)
        for (;;)
            pause();
    const procinspect_kill_report *report = NULL;
    int32_t code = procinspect_kill_tree(process, NULL, &report, &error);
    bool is_well = tree_state(stranger, NULL) != '?' && waitpid(stranger, NULL, WNOHANG) == 0;
    kill(stranger, SIGKILL);
    procinspect_kill_report_free(report);
    procinspect_process_free(process);
    procinspect_context_free(context);
    if (!is_set)
        return 77;
    if (stranger != first)
        return 3;
    return code == PROCINSPECT_ERROR_REPLACED && is_well ? 0 : 4;
}

static void a_reused_number_is_not_hit(void **state) {
    (void)state;
    /* A container or a chroot may not have namespaces of its own. */
    if (getuid() != 0 || tree_shell("unshare --pid --fork --mount-proc true") != 0)
        skip();
    char command[512];
    snprintf(command, sizeof command, "unshare --pid --fork --mount-proc '%s' recycle",
             program_invocation_name);
    int status = tree_shell(command);
    if (WEXITSTATUS(status) == 77)
        skip();
    assert_int_equal(status, 0);
}

int main(int argc, char **argv) {
    if (argc == 2 && strcmp(argv[1], "recycle") == 0)
        return recycle();
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(nothing_stays_stopped_when_the_helper_dies),
        cmocka_unit_test(nothing_stays_stopped_when_the_host_dies),
        cmocka_unit_test(the_helper_gets_ahead_of_the_tree),
        cmocka_unit_test(options_that_are_none),
        cmocka_unit_test(only_check_touches_nothing),
        cmocka_unit_test(a_reused_number_is_not_hit),
    };
    return cmocka_run_group_tests(tests, tree_run_setup_waiting_for_none, NULL);
}
