/* Dumps of processes that end meanwhile, all or in part: what had been read makes a dump that the
 * strict checker takes, or the answer is that the process has gone. */
#include "system/target.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>

#include <cmocka.h>

#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

enum {
    THREADS = 8,
    KILLS = 40,
    RELEASE_ATTEMPTS = 20,
    LONGEST_DELAY_US = 2500,
    WAIT_STEPS = 20000
};

/* What a child and its test share. */
typedef struct board {
    atomic_int ready;
    atomic_int vfork_child;
    atomic_int vfork_thread;
} board;

static board *shared;
static char dump_path[] = "/tmp/procinspect-ends-XXXXXX";

static int set_up(void **state) {
    (void)state;
    shared = mmap(NULL, sizeof *shared, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    const int file = mkostemp(dump_path, O_CLOEXEC);
    return shared != MAP_FAILED && file >= 0 ? close(file) : -1;
}

static int tear_down(void **state) {
    (void)state;
    munmap(shared, sizeof *shared);
    return unlink(dump_path);
}

/* --- Children --- */

static void *wait_forever(void *argument) {
    for (;;)
        pause();
    return argument;
}

static void start_threads(int count) {
    for (int i = 0; i < count; i++) {
        pthread_t thread;
        if (pthread_create(&thread, NULL, wait_forever, NULL) != 0)
            _exit(1);
    }
}

static void stand(void) {
    start_threads(THREADS);
    atomic_store(&shared->ready, 1);
    wait_forever(NULL);
}

static void live_without_main_thread(void) {
    start_threads(THREADS);
    atomic_store(&shared->ready, 1);
    syscall(SYS_exit, 0);
}

/* In vfork a parent can't be stopped until its child has ended: the others stand and wait. */
static void *wait_in_vfork(void *argument) {
    atomic_store(&shared->vfork_thread, (int)gettid());
    pid_t pid = vfork();
    if (pid == 0) {
        atomic_store(&shared->vfork_child, (int)getpid());
        atomic_store(&shared->ready, 1);
        for (;;)
            syscall(SYS_pause);
    }
    waitpid(pid, NULL, 0);
    return wait_forever(argument);
}

static void stand_beside_vfork(void) {
    pthread_t thread;
    start_threads(THREADS);
    if (pthread_create(&thread, NULL, wait_in_vfork, NULL) != 0)
        _exit(1);
    wait_forever(NULL);
}

static pid_t start_child(void (*body)(void)) {
    *shared = (board){0};
    const pid_t parent = getpid();
    fflush(NULL);
    const pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        if (getppid() == parent)
            body();
        _exit(1);
    }
    for (int i = 0; i < WAIT_STEPS && atomic_load(&shared->ready) == 0; i++)
        usleep(1000);
    assert_int_equal(atomic_load(&shared->ready), 1);
    return pid;
}

static void end_child(pid_t pid) {
    kill(pid, SIGKILL);
    assert_int_equal(waitpid(pid, NULL, 0), pid);
}

static void wait_for_thread_state(pid_t pid, pid_t tid, char state) {
    for (int i = 0; i < WAIT_STEPS && thread_state(pid, tid) != state; i++)
        usleep(1000);
    assert_int_equal(thread_state(pid, tid), state);
}

/* --- Dumps --- */

static void assert_well_formed(procinspect_dump *dump) {
    char command[512], line[256];
    save_dump(dump, dump_path);
    snprintf(command, sizeof command,
             "/usr/bin/python3 " TESTS_SOURCE_DIR "/readers/check_minidump.py %s", dump_path);
    FILE *pipe = popen(command, "re");
    assert_non_null(pipe);
    bool shown = false;
    while (fgets(line, sizeof line, pipe) != NULL) {
        shown = shown || strstr(line, "violations") != NULL;
        if (shown)
            print_message("%s", line);
    }
    assert_int_equal(pclose(pipe), 0);
}

static size_t count_notes(const procinspect_dump *dump, const char *text) {
    const procinspect_dump_report *report = procinspect_dump_report_get(dump);
    size_t count = 0;
    for (size_t i = 0; i < report->note_count; i++)
        count += strstr(report->notes[i]->text, text) != NULL;
    return count;
}

static void test_a_main_thread_that_has_ended(void **state) {
    (void)state;
    const pid_t pid = start_child(live_without_main_thread);
    wait_for_thread_state(pid, pid, 'Z');
    procinspect_context *context = open_context();
    procinspect_process *process = open_process(context, pid);
    procinspect_dump *dump = capture(process);
    assert_int_equal(procinspect_dump_report_get(dump)->thread_count, THREADS);
    assert_int_equal(count_notes(dump, "main thread has ended"), 1);
    assert_well_formed(dump);
    procinspect_dump_free(dump);
    procinspect_process_free(process);
    procinspect_context_free(context);
    end_child(pid);
}

/* --- An end right after the hold --- */

/* While the process stands, and waits for the thread in vfork: a signal that ends it as soon as its
 * main thread goes on, and then the end of that vfork. */
static void *end_it_when_it_goes_on(void *argument) {
    const pid_t pid = *(const pid_t *)argument;
    for (int i = 0; i < WAIT_STEPS * 10 && thread_state(pid, pid) != 't'; i++)
        usleep(100);
    syscall(SYS_tgkill, pid, pid, SIGTERM);
    kill(atomic_load(&shared->vfork_child), SIGKILL);
    return NULL;
}

/* True where it came as it should: no thread was given up on because the signal took too long, and
 * the end came before the modules had been read. */
static bool end_right_after_hold(void) {
    pid_t pid = start_child(stand_beside_vfork);
    wait_for_thread_state(pid, atomic_load(&shared->vfork_thread), 'D');
    procinspect_context *context = open_context();
    procinspect_process *process = open_process(context, pid);
    pthread_t thread;
    assert_int_equal(pthread_create(&thread, NULL, end_it_when_it_goes_on, &pid), 0);
    procinspect_dump *dump = capture(process);
    pthread_join(thread, NULL);
    const procinspect_dump_report *report = procinspect_dump_report_get(dump);
    bool all_stood = report->thread_count == THREADS + 2;
    bool is_noted = count_notes(dump, "ended right after") != 0;
    int status;
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFSIGNALED(status));
    assert_int_equal(WTERMSIG(status), SIGTERM);
    if (all_stood) {
        assert_int_equal(report->unreadable_memory_bytes, 0);
        assert_well_formed(dump);
    }
    procinspect_dump_free(dump);
    procinspect_process_free(process);
    procinspect_context_free(context);
    return all_stood && is_noted;
}

static void test_an_end_right_after_the_hold(void **state) {
    (void)state;
    bool is_noted = false;
    for (int i = 0; i < RELEASE_ATTEMPTS && !is_noted; i++)
        is_noted = end_right_after_hold();
    assert_true(is_noted);
}

/* --- An end at any moment --- */

static void test_an_end_at_any_moment(void **state) {
    unsigned dumps = 0, ended = 0;
    (void)state;
    procinspect_context *context = open_context();
    for (int i = 0; i < KILLS; i++) {
        kill_later killer = {start_child(stand), (unsigned)(LONGEST_DELAY_US * i / KILLS)};
        procinspect_process *process = open_process(context, killer.pid);
        procinspect_dump *dump = NULL;
        procinspect_error error = {0};
        pthread_t thread;
        assert_int_equal(pthread_create(&thread, NULL, kill_it, &killer), 0);
        const int32_t code = procinspect_dump_capture(process, NULL, &dump, &error);
        pthread_join(thread, NULL);
        if (code == 0) {
            dumps++;
            ended += count_notes(dump, "ended right after") != 0;
            assert_well_formed(dump);
        } else if (code == PROCINSPECT_ERROR_PERMISSION) {
            skip(); /* Yama */
        } else if (code != PROCINSPECT_ERROR_GONE) {
            /* It may have ended before the call, and be a zombie then. */
            if (code != PROCINSPECT_ERROR_NOT_FOUND || strstr(error.message, "zombie") == NULL)
                fail_msg("%d: %s", code, error.message);
        }
        procinspect_dump_free(dump);
        procinspect_process_free(process);
        end_child(killer.pid);
    }
    print_message("%u dumps, %u of them of processes that ended meanwhile, of %d\n", dumps, ended,
                  KILLS);
    procinspect_context_free(context);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_main_thread_that_has_ended),
        cmocka_unit_test(test_an_end_right_after_the_hold),
        cmocka_unit_test(test_an_end_at_any_moment),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
