/* What a capture leaves behind in the target and in the host: nothing. */
#include "system/target.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>

#include <cmocka.h>

#include <dirent.h>
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum {
    LAST_CHILD_STATUS = 200,
    REPORT_LINE_BYTES = 512,
    REPORT_TIMEOUT_MS = 60000,
    MOST_BUSY = 2,
    BUSY_NICENESS = 10
};

static const char *const blocking_calls[] = {TESTS_BUILD_DIR "/targets/blocking_calls", NULL};
static const char *const threads[] = {TESTS_BUILD_DIR "/targets/threads", "4", NULL};

static atomic_int child_signals;

static void count_child_signal(int number) {
    (void)number;
    atomic_fetch_add(&child_signals, 1);
}

static unsigned repetitions(void) {
    return getenv("PROCINSPECT_TEST_SOAK") != NULL ? 5000 : 200;
}

static void sleep_ms(int ms) {
    struct timespec left = {.tv_nsec = ms * 1000000L};
    while (nanosleep(&left, &left) != 0 && errno == EINTR) {
    }
}

static int install_child_handler(void **state) {
    struct sigaction action = {.sa_handler = count_child_signal, .sa_flags = SA_RESTART};
    (void)state;
    sigemptyset(&action.sa_mask);
    return sigaction(SIGCHLD, &action, NULL);
}

/* Reads the target's last words; every line with a violation goes into the test's output. */
static void assert_no_violation(target *t) {
    char line[REPORT_LINE_BYTES];
    target_send(t, "quit\n");
    for (;;) {
        target_read_line(t, line, sizeof line, REPORT_TIMEOUT_MS);
        if (strstr(line, " first: ") != NULL) {
            print_message("%s\n", line);
        }
        if (strcmp(line, "ok") == 0) {
            break;
        }
        if (strncmp(line, "violations ", 11) == 0) {
            fail_msg("the target counted %s", line);
        }
    }
    const int status = target_end(t, REPORT_TIMEOUT_MS);
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), 0);
}

/* But that shared memory isn't as it was. */
static void assert_no_note(const procinspect_dump_report *report) {
    size_t notes = 0;
    for (size_t i = 0; i < report->note_count; i++) {
        if (report->notes[i]->kind != PROCINSPECT_DUMP_NOTE_SHARED) {
            print_message("%s\n", report->notes[i]->text);
            notes++;
        }
    }
    assert_int_equal(notes, 0);
}

static void start_busy_processes(pid_t *pids, size_t count) {
    for (size_t i = 0; i < count; i++) {
        pids[i] = fork();
        assert_true(pids[i] >= 0);
        if (pids[i] == 0) {
            prctl(PR_SET_PDEATHSIG, SIGKILL);
            setpriority(PRIO_PROCESS, 0, getpriority(PRIO_PROCESS, 0) + BUSY_NICENESS);
            for (;;) {
            }
        }
    }
}

static void end_busy_processes(const pid_t *pids, size_t count) {
    for (size_t i = 0; i < count; i++) {
        kill(pids[i], SIGKILL);
        assert_int_equal(waitpid(pids[i], NULL, 0), pids[i]);
    }
}

/* Children of one thread that have ended and weren't waited for, or stand still as a copy does. */
static size_t count_left_of_thread(pid_t pid, const char *tid) {
    char path[64];
    char text[4096] = "";
    size_t count = 0;
    snprintf(path, sizeof path, "/proc/%d/task/%.16s/children", (int)pid, tid);
    FILE *children = fopen(path, "re");
    if (children == NULL) {
        return 0;
    }
    char *next = fgets(text, sizeof text, children) != NULL ? text : NULL;
    fclose(children);
    for (long child = 0; next != NULL && (child = strtol(next, &next, 10)) > 0;) {
        const char state = thread_state((pid_t)child, (pid_t)child);
        count += state == 'Z' || state == 't';
    }
    return count;
}

static size_t count_left_children(pid_t pid) {
    char path[64];
    size_t count = 0;
    snprintf(path, sizeof path, "/proc/%d/task", (int)pid);
    DIR *threads_of_it = opendir(path);
    assert_non_null(threads_of_it);
    for (const struct dirent *entry = readdir(threads_of_it); entry != NULL;
         entry = readdir(threads_of_it)) {
        count += count_left_of_thread(pid, entry->d_name);
    }
    closedir(threads_of_it);
    return count;
}

/* It takes a moment to wait for those of its own. */
static void assert_no_child_is_left(pid_t pid) {
    size_t count = count_left_children(pid);
    for (int i = 0; i < 10000 && count != 0; i++) {
        sleep_ms(1);
        count = count_left_children(pid);
    }
    assert_int_equal(count, 0);
}

/* Captures again and again, beside so many processes that compute all the time. */
static void assert_nothing_noticed(uint32_t type, uint32_t way, size_t busy_count) {
    pid_t busy[MOST_BUSY];
    uint64_t restarted_calls = 0;
    uint64_t longest_pause_ns = 0;
    target t = target_start(blocking_calls);
    procinspect_context *context = open_context();
    procinspect_process *process = open_process(context, t.pid);
    const size_t descriptors = count_entries("/proc/self/fd");
    const size_t host_threads = count_entries("/proc/self/task");
    start_busy_processes(busy, busy_count);
    atomic_store(&child_signals, 0);

    for (unsigned i = 0; i < repetitions(); i++) {
        /* Now and then close together, now and then long enough for short timeouts to pass. */
        const int gap_ms = i % 8 == 0 ? 30 : (int)(i % 7);
        procinspect_dump *dump = capture_as(process, type, way);
        const procinspect_dump_report *report = procinspect_dump_report_get(dump);
        assert_int_equal(report->pid, t.pid);
        assert_int_equal(report->way, way);
        assert_true(report->thread_count > 150);
        assert_no_note(report);
        restarted_calls += report->restarted_call_count;
        longest_pause_ns =
            report->pause_ns > longest_pause_ns ? report->pause_ns : longest_pause_ns;
        sleep_ms(gap_ms);
        if (i % 8 == 0) {
            save_dump(dump, "/dev/null");
        }
        procinspect_dump_free(dump);
        sleep_ms(gap_ms);
    }

    assert_int_equal(atomic_load(&child_signals), 0);
    assert_int_equal(count_entries("/proc/self/fd"), descriptors);
    assert_int_equal(count_entries("/proc/self/task"), host_threads);
    assert_true(restarted_calls > 0);
    print_message("restarted calls: %llu, longest pause: %llu us\n",
                  (unsigned long long)restarted_calls,
                  (unsigned long long)(longest_pause_ns / 1000));
    end_busy_processes(busy, busy_count);
    assert_no_child_is_left(t.pid);
    assert_no_violation(&t);
    /* Not even a zombie of the kind that only __WALL shows. */
    assert_int_equal(waitpid(-1, NULL, WNOHANG | __WALL), -1);
    assert_int_equal(errno, ECHILD);
    procinspect_process_free(process);
    procinspect_context_free(context);
}

static void test_no_call_of_the_target_notices(void **state) {
    (void)state;
    assert_nothing_noticed(PROCINSPECT_DUMP_TYPE_NORMAL, PROCINSPECT_DUMP_WAY_HOLD, 0);
}

static void test_no_call_of_a_copied_target_notices_under_load(void **state) {
    (void)state;
    assert_nothing_noticed(PROCINSPECT_DUMP_TYPE_WITH_FULL_MEMORY, PROCINSPECT_DUMP_WAY_COPY,
                           MOST_BUSY);
}

/* What a thread of the host sees that waits for any child. */
typedef struct reaped {
    unsigned count;
    unsigned wrong;
    uint64_t sum;
} reaped;

static void *reap_until_last(void *argument) {
    reaped *seen = argument;
    int status = 0;
    for (;;) {
        const pid_t pid = waitpid(-1, &status, 0);
        if (pid < 0 || !WIFEXITED(status)) {
            seen->wrong++;
            return NULL;
        }
        if (WEXITSTATUS(status) == LAST_CHILD_STATUS) {
            return NULL;
        }
        seen->count++;
        seen->sum += (uint64_t)WEXITSTATUS(status);
    }
}

static void start_child(int lifetime_ms, int status) {
    const pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        sleep_ms(lifetime_ms);
        _exit(status);
    }
}

static void test_no_wait_of_the_host_is_lost(void **state) {
    const unsigned children = repetitions();
    uint64_t sum = 0;
    pthread_t reaper;
    reaped seen = {0};
    (void)state;
    target t = target_start(threads);
    procinspect_context *context = open_context();
    procinspect_process *process = open_process(context, t.pid);
    assert_int_equal(pthread_create(&reaper, NULL, reap_until_last, &seen), 0);

    for (unsigned i = 0; i < children; i++) {
        const int status = (int)(i % 100) + 1;
        start_child((int)(i % 5), status);
        sum += (uint64_t)status;
        procinspect_dump_free(capture(process));
    }
    start_child(50, LAST_CHILD_STATUS);
    assert_int_equal(pthread_join(reaper, NULL), 0);

    assert_int_equal(seen.wrong, 0);
    assert_int_equal(seen.count, children);
    assert_int_equal(seen.sum, sum);
    assert_int_equal(target_end(&t, 5000), 0);
    procinspect_process_free(process);
    procinspect_context_free(context);
}

static void assert_stopped_unnoticed(pid_t pid) {
    siginfo_t info = {0};
    /* A thread that is let go from a stopped process goes back into its stop by itself, within the
     * kernel and without a step of its own; that takes a moment, in which it counts as running. */
    for (int i = 0; i < 1000 && thread_state(pid, pid) != 'T'; i++)
        sleep_ms(1);
    assert_int_equal(thread_state(pid, pid), 'T');
    assert_int_equal(
        waitid(P_PID, (id_t)pid, &info, WSTOPPED | WCONTINUED | WEXITED | WNOHANG | WNOWAIT), 0);
    assert_int_equal(info.si_pid, 0);
}

static void test_stopped_target_stays_stopped(void **state) {
    int status = 0;
    (void)state;
    target t = target_start(threads);
    procinspect_context *context = open_context();
    procinspect_process *process = open_process(context, t.pid);
    atomic_store(&child_signals, 0);
    assert_int_equal(kill(t.pid, SIGSTOP), 0);
    assert_int_equal(waitpid(t.pid, &status, WUNTRACED), t.pid);
    assert_true(WIFSTOPPED(status));
    /* The kernel answers the wait before it sends the stop's own SIGCHLD. */
    for (int i = 0; i < 5000 && atomic_load(&child_signals) == 0; i++)
        sleep_ms(1);
    assert_int_equal(atomic_exchange(&child_signals, 0), 1);

    for (int i = 0; i < 20; i++) {
        procinspect_dump *dump = capture(process);
        assert_int_equal(procinspect_dump_report_get(dump)->thread_count, 5);
        procinspect_dump_free(dump);
        assert_stopped_unnoticed(t.pid);
    }
    sleep_ms(20);
    assert_stopped_unnoticed(t.pid);
    assert_int_equal(atomic_load(&child_signals), 0);

    assert_int_equal(kill(t.pid, SIGCONT), 0);
    assert_int_equal(waitpid(t.pid, &status, WCONTINUED), t.pid);
    assert_true(WIFCONTINUED(status));
    assert_true(wait_for_state(t.pid, 'S', 5000));
    assert_int_equal(target_end(&t, 5000), 0);
    procinspect_process_free(process);
    procinspect_context_free(context);
}

/* SIGCONT in the middle of captures must start it, SIGSTOP must stop it, as without them. */
static void test_stop_and_continue_between_captures(void **state) {
    (void)state;
    target t = target_start(threads);
    procinspect_context *context = open_context();
    procinspect_process *process = open_process(context, t.pid);
    for (int i = 0; i < 20; i++) {
        assert_int_equal(kill(t.pid, i % 2 == 0 ? SIGSTOP : SIGCONT), 0);
        procinspect_dump_free(capture(process));
        assert_true(wait_for_state(t.pid, i % 2 == 0 ? 'T' : 'S', 5000));
    }
    assert_int_equal(target_end(&t, 5000), 0);
    procinspect_process_free(process);
    procinspect_context_free(context);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(test_no_call_of_the_target_notices, install_child_handler),
        cmocka_unit_test_setup(test_no_call_of_a_copied_target_notices_under_load,
                               install_child_handler),
        cmocka_unit_test_setup(test_no_wait_of_the_host_is_lost, install_child_handler),
        cmocka_unit_test_setup(test_stopped_target_stays_stopped, install_child_handler),
        cmocka_unit_test_setup(test_stop_and_continue_between_captures, install_child_handler),
    };
    return cmocka_run_group_tests_name("dump_blocking_calls", tests, NULL, NULL);
}
