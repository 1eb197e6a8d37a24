/* Trees whose root or members are something else, or nothing, by the time they are looked at. */
#include "kill/tree_run.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>

#include <cmocka.h>

#include <signal.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define EXECS_PROGRAM TESTS_BUILD_DIR "/targets/execs"

enum { FEW = 20, MANY = 1000, EXECUTING = 4, LONGEST_DELAY_US = 3000, STATE_STEPS = 10000 };

static void sleep_us(long us) {
    nanosleep(&(struct timespec){.tv_sec = us / 1000000, .tv_nsec = us % 1000000 * 1000}, NULL);
}

static _Noreturn void stay(void) {
    for (;;)
        pause();
}

static pid_t fork_stayer(void) {
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0);
        stay();
    }
    return pid;
}

static procinspect_process *open_process(procinspect_context *context, pid_t pid) {
    procinspect_process *process = NULL;
    procinspect_error error = {0};
    if (procinspect_process_open(context, pid, &process, &error) != PROCINSPECT_OK)
        fail_msg("%s", error.message);
    return process;
}

static void wait_for_state(pid_t pid, char state) {
    for (int i = 0; i < STATE_STEPS && tree_state(pid, NULL) != state; i++)
        sleep_us(1000);
    assert_int_equal(tree_state(pid, NULL), state);
}

/* It is gone for kill, and what it left to init is no member. */
static void a_root_that_is_a_zombie(void **state) {
    (void)state;
    int said[2];
    pid_t child = 0;
    assert_int_equal(pipe(said), 0);
    pid_t root = fork();
    if (root == 0) {
        child = fork();
        if (child == 0) {
            alarm(60);
            stay();
        }
        _exit(write(said[1], &child, sizeof child) != sizeof child);
    }
    assert_int_equal(read(said[0], &child, sizeof child), sizeof child);
    close(said[0]);
    close(said[1]);
    wait_for_state(root, 'Z');
    wait_for_state(child, 'S');

    procinspect_context *context = tree_context();
    procinspect_process *process = open_process(context, root);
    const procinspect_kill_report *report = NULL;
    procinspect_error error = {0};
    assert_int_equal(procinspect_kill_tree(process, NULL, &report, &error), PROCINSPECT_OK);
    assert_int_equal(report->count - report->escaped_count, 1);
    assert_int_equal(report->already_gone_count, 1);
    assert_int_equal(report->items[0]->pid, root);
    assert_int_equal(report->items[0]->outcome, PROCINSPECT_KILL_ALREADY_GONE);
    assert_null(report->items[0]->text);
    procinspect_kill_report_free(report);
    procinspect_process_free(process);
    procinspect_context_free(context);

    assert_int_equal(tree_state(child, NULL), 'S');
    assert_int_equal(waitpid(root, NULL, 0), root);
    kill(child, SIGKILL);
    assert_int_equal(waitpid(child, NULL, 0), child);
}

static void a_root_that_has_ended_since(void **state) {
    (void)state;
    procinspect_context *context = tree_context();
    const procinspect_kill_report *report = NULL;
    procinspect_error error = {0};
    pid_t root = fork_stayer();
    procinspect_process *process = open_process(context, root);
    kill(root, SIGKILL);
    assert_int_equal(waitpid(root, NULL, 0), root);
    assert_int_equal(procinspect_kill_tree(process, NULL, &report, &error), PROCINSPECT_ERROR_GONE);
    assert_true(error.message[0] != '\0');
    assert_null(report);
    procinspect_process_free(process);

    /* And who asks from now on gets no handle. */
    process = NULL;
    assert_int_equal(procinspect_process_open(context, root, &process, &error),
                     PROCINSPECT_ERROR_NOT_FOUND);
    assert_null(process);
    procinspect_context_free(context);
}

/* At any moment of the call. */
static void a_root_that_ends_meanwhile(void **state) {
    (void)state;
    procinspect_context *context = tree_context();
    for (int i = tree_runs(FEW, MANY); i > 0; i--) {
        const procinspect_kill_report *report = NULL;
        procinspect_error error = {0};
        pid_t root = fork_stayer();
        procinspect_process *process = open_process(context, root);
        pid_t killer = fork();
        if (killer == 0) {
            sleep_us(rand() % LONGEST_DELAY_US);
            _exit(kill(root, SIGKILL));
        }
        int32_t code = procinspect_kill_tree(process, NULL, &report, &error);
        if (code != PROCINSPECT_OK)
            fail_msg("%s: %s", procinspect_error_name(code), error.message);
        assert_int_equal(report->ended_count + report->already_gone_count, 1);
        procinspect_kill_report_free(report);
        procinspect_process_free(process);
        assert_int_equal(waitpid(killer, NULL, 0), killer);
        assert_int_equal(waitpid(root, NULL, 0), root);
    }
    procinspect_context_free(context);
}

static _Noreturn void start_executing(int ready) {
    static const char *const threads[] = {"main", "thread"};
    prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0);
    for (int i = 0; i < EXECUTING; i++)
        if (fork() == 0) {
            execl(EXECS_PROGRAM, "execs", threads[i % 2], (char *)NULL);
            _exit(127);
        }
    if (write(ready, "", 1) != 1)
        _exit(1);
    stay();
}

/* execve ends the other threads, and the one that calls it takes the number of the first. */
static void members_that_execute_without_pause(void **state) {
    (void)state;
    for (int i = tree_runs(FEW, MANY); i > 0; i--) {
        int ready[2];
        char byte;
        assert_int_equal(pipe(ready), 0);
        static tree_log log;
        tree_run run = {.log = &log, .witnesses = {tree_start_witness()}};
        run.root = fork();
        if (run.root == 0)
            start_executing(ready[1]);
        run.witnesses[1] = tree_start_witness();
        assert_int_equal(read(ready[0], &byte, 1), 1);
        close(ready[0]);
        close(ready[1]);
        sleep_us(rand() % LONGEST_DELAY_US);
        procinspect_kill_options options;
        procinspect_kill_options_init(&options, sizeof options);
        options.timeout_ms = 30000; /* other tests may keep the machine busy */
        const procinspect_kill_report *report = tree_end(&run, &options);
        for (size_t j = 0; j < report->count; j++)
            if (report->items[j]->outcome != PROCINSPECT_KILL_ENDED)
                print_message("%d: outcome %d, %s\n", (int)report->items[j]->pid,
                              (int)report->items[j]->outcome, report->items[j]->text);
        assert_int_equal(report->count - report->escaped_count, 1 + EXECUTING);
        assert_int_equal(report->ended_count, 1 + EXECUTING);
        for (size_t j = 0; j <= EXECUTING; j++)
            assert_int_equal(tree_state(report->items[j]->pid, NULL), 'Z');
        procinspect_kill_report_free(report);
        assert_true(tree_end_witnesses(&run));
        while (waitpid(-1, NULL, 0) > 0)
            ;
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_root_that_is_a_zombie),
        cmocka_unit_test(a_root_that_has_ended_since),
        cmocka_unit_test(a_root_that_ends_meanwhile),
        cmocka_unit_test(members_that_execute_without_pause),
    };
    return cmocka_run_group_tests(tests, tree_run_setup, NULL);
}
