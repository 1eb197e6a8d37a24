/* Dumps, by every way, of processes that change while they are captured and read; and readers that
 * don't want all of it. */
#include "system/target.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#define EXECS_PROGRAM TESTS_BUILD_DIR "/targets/execs"

enum { PAGE = 4096, CAPTURES = 8, ENDS = 12, LONGEST_LIFE_US = 12000, MEMORY = 8 * 1024 * 1024 };

typedef struct board {
    atomic_int ready;
    atomic_uint beats;
    atomic_uint wrong;
} board;

static board *shared;
static procinspect_context *context;
static char dump_path[] = "/tmp/procinspect-changing-XXXXXX";

static int set_up(void **state) {
    (void)state;
    shared = mmap(NULL, sizeof *shared, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    const int file = mkostemp(dump_path, O_CLOEXEC);
    procinspect_context_options options;
    procinspect_context_options_init(&options, sizeof options);
    options.allow = PROCINSPECT_ALLOW_DUMP;
    options.hold_buffer_bytes = UINT64_C(4) << 30; /* sanitizers have much memory, too */
    options.max_pause_ms = 60000;
    options.spool_directory = "/tmp";
    return shared == MAP_FAILED || file < 0 || close(file) != 0 ||
           procinspect_context_new(&options, &context, NULL) != 0;
}

static int tear_down(void **state) {
    (void)state;
    procinspect_context_free(context);
    munmap(shared, sizeof *shared);
    return unlink(dump_path);
}

/* --- Targets --- */

static void beat(void) {
    atomic_fetch_add(&shared->beats, 1);
    atomic_store(&shared->ready, 1);
}

/* Mappings come, change and go. */
static void *change_maps(void *argument) {
    for (unsigned i = 0;; i++) {
        size_t bytes = (1 + i % 64) * PAGE;
        unsigned char *memory =
            mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        if (memory == MAP_FAILED)
            _exit(2);
        memset(memory, (int)i, bytes);
        mprotect(memory, PAGE, i % 2 != 0 ? PROT_NONE : PROT_READ);
        munmap(memory, bytes);
        beat();
    }
    return argument;
}

static void maps_body(void) {
    pthread_t thread;
    if (pthread_create(&thread, NULL, change_maps, NULL) != 0)
        _exit(3);
    change_maps(NULL);
}

/* Its waits find its own children, and no other; and what they ended with. */
static void forks_body(void) {
    for (int i = 0;; i++) {
        int status = 0;
        pid_t pid = fork();
        if (pid == 0)
            _exit(i % 100);
        pid_t got = waitpid(-1, &status, 0);
        if (got != pid || !WIFEXITED(status) || WEXITSTATUS(status) != i % 100)
            atomic_fetch_add(&shared->wrong, 1);
        beat();
    }
}

static void *end_at_once(void *argument) {
    beat();
    return argument;
}

static void threads_body(void) {
    for (;;) {
        pthread_t thread;
        if (pthread_create(&thread, NULL, end_at_once, NULL) == 0)
            pthread_join(thread, NULL);
    }
}

static void still_body(void) {
    unsigned char *memory =
        mmap(NULL, MEMORY, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (memory == MAP_FAILED)
        _exit(2);
    memset(memory, 0x5a, MEMORY);
    for (;;) {
        beat();
        usleep(1000);
    }
}

static void execs_body(void) {
    beat();
    execl(EXECS_PROGRAM, "execs", "thread", (char *)NULL);
    _exit(4);
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
    for (int i = 0; i < 20000 && atomic_load(&shared->ready) == 0; i++)
        usleep(1000);
    assert_int_equal(atomic_load(&shared->ready), 1);
    return pid;
}

static void end_child(pid_t pid) {
    kill(pid, SIGKILL);
    assert_int_equal(waitpid(pid, NULL, 0), pid);
}

static void assert_beats(void) {
    const unsigned before = atomic_load(&shared->beats);
    for (int i = 0; i < 60000 && atomic_load(&shared->beats) <= before + 1; i++)
        usleep(1000);
    assert_true(atomic_load(&shared->beats) > before + 1);
    assert_int_equal(atomic_load(&shared->wrong), 0);
}

/* --- Dumps of them --- */

static int32_t take(const procinspect_process *process, uint32_t way, procinspect_dump **dump,
                    procinspect_error *error) {
    procinspect_dump_options options;
    procinspect_dump_options_init(&options, sizeof options);
    options.type = PROCINSPECT_DUMP_TYPE_WITH_FULL_MEMORY;
    options.way = way;
    const int32_t code = procinspect_dump_capture(process, &options, dump, error);
    if (code == PROCINSPECT_ERROR_PERMISSION)
        skip(); /* Yama */
    if (code == 0)
        assert_int_equal(procinspect_dump_report_get(*dump)->way, way);
    return code;
}

static procinspect_dump *take_well(const procinspect_process *process, uint32_t way) {
    procinspect_dump *dump = NULL;
    procinspect_error error;
    if (take(process, way, &dump, &error) != 0)
        fail_msg("way %u: %d, %s", way, error.code, error.message);
    return dump;
}

static void assert_well_formed(procinspect_dump *dump) {
    char command[512];
    save_dump(dump, dump_path);
    snprintf(command, sizeof command,
             "/usr/bin/python3 " TESTS_SOURCE_DIR "/readers/check_minidump.py %s >/dev/null",
             dump_path);
    assert_int_equal(system(command), 0);
}

static void assert_dumped_by_every_way(void (*body)(void), bool names_are_known) {
    const pid_t pid = start_child(body);
    procinspect_process *process = open_process(context, pid);
    const size_t descriptors = count_entries("/proc/self/fd");
    for (uint32_t way = PROCINSPECT_DUMP_WAY_HOLD; way <= PROCINSPECT_DUMP_WAY_LIVE; way++) {
        for (int i = 0; i < CAPTURES; i++) {
            procinspect_dump *dump = take_well(process, way);
            if (i == 0 && names_are_known)
                assert_well_formed(dump);
            procinspect_dump_free(dump);
            assert_beats();
        }
        assert_int_equal(count_entries("/proc/self/fd"), descriptors);
    }
    procinspect_process_free(process);
    end_child(pid);
}

static void test_maps_that_change(void **state) {
    (void)state;
    assert_dumped_by_every_way(maps_body, true);
}

static void test_a_process_that_forks(void **state) {
    (void)state;
    assert_dumped_by_every_way(forks_body, true);
}

static void test_threads_that_come_and_go(void **state) {
    (void)state;
    /* One that came after the listing, and ended before its name was asked for, has none; the
     * checker wants one of each. */
    assert_dumped_by_every_way(threads_body, false);
}

/* All of it, or the answer says what became of it. */
static void read_through(procinspect_dump *dump, uint32_t way) {
    static unsigned char bytes[65536];
    const uint64_t size = procinspect_dump_size_bytes(dump);
    for (uint64_t at = 0; at < size;) {
        size_t length = 0;
        procinspect_error error;
        const int32_t code =
            procinspect_dump_read_at(dump, at, bytes, sizeof bytes, &length, &error);
        if (code != 0) {
            assert_int_equal(code, PROCINSPECT_ERROR_IO);
            assert_int_equal(way, PROCINSPECT_DUMP_WAY_LIVE);
            assert_non_null(strstr(error.message, "before its live dump was read"));
            return;
        }
        at += length;
    }
}

static bool is_of_an_exec(const procinspect_error *error) {
    return error->code == PROCINSPECT_ERROR_IO && strstr(error->message, "execve") != NULL;
}

/* Whether there was one: there is none where it goes on to the next program meanwhile. */
static bool take_of_one_that_executes(const procinspect_process *process, uint32_t way) {
    procinspect_dump *dump = NULL;
    procinspect_error error;
    const int32_t code = take(process, way, &dump, &error);
    if (code == 0)
        read_through(dump, way);
    else if (!is_of_an_exec(&error) && code != PROCINSPECT_ERROR_TRACED)
        fail_msg("way %u: %d, %s", way, code, error.message);
    procinspect_dump_free(dump);
    return code == 0;
}

/* By which of the ways there are some is up to how busy the machine is. */
static void test_a_process_that_executes(void **state) {
    unsigned taken = 0;
    (void)state;
    const pid_t pid = start_child(execs_body);
    procinspect_process *process = open_process(context, pid);
    const size_t descriptors = count_entries("/proc/self/fd");
    for (uint32_t way = PROCINSPECT_DUMP_WAY_HOLD; way <= PROCINSPECT_DUMP_WAY_LIVE; way++) {
        for (int i = 0; i < CAPTURES; i++) {
            taken += take_of_one_that_executes(process, way);
            assert_int_equal(waitpid(pid, NULL, WNOHANG), 0);
        }
    }
    print_message("# %u of %d dumps taken between two programs\n", taken, 4 * CAPTURES);
    assert_true(taken > 0);
    assert_int_equal(count_entries("/proc/self/fd"), descriptors);
    procinspect_process_free(process);
    end_child(pid);
}

/* At any moment of its capture. */
static void test_a_process_that_ends(void **state) {
    unsigned taken = 0;
    (void)state;
    for (uint32_t way = PROCINSPECT_DUMP_WAY_HOLD; way <= PROCINSPECT_DUMP_WAY_LIVE; way++)
        for (int i = 0; i < ENDS; i++) {
            kill_later killer = {start_child(still_body), (unsigned)(LONGEST_LIFE_US * i / ENDS)};
            procinspect_process *process = open_process(context, killer.pid);
            procinspect_dump *dump = NULL;
            procinspect_error error = {0};
            pthread_t thread;
            assert_int_equal(pthread_create(&thread, NULL, kill_it, &killer), 0);
            const int32_t code = take(process, way, &dump, &error);
            pthread_join(thread, NULL);
            const bool has_gone = code == PROCINSPECT_ERROR_GONE ||
                                  code == PROCINSPECT_ERROR_NOT_FOUND ||
                                  strstr(error.message, "zombie") != NULL;
            /* Its copy outlives it; unless that was being made. */
            const bool is_killed_copy =
                code == PROCINSPECT_ERROR_IO && way == PROCINSPECT_DUMP_WAY_COPY;
            if (code == 0) {
                taken++;
                read_through(dump, way);
            } else if (!has_gone && !is_killed_copy) {
                fail_msg("way %u: %d, %s", way, code, error.message);
            }
            procinspect_dump_free(dump);
            procinspect_process_free(process);
            end_child(killer.pid);
        }
    print_message("# %u of %d dumps taken of processes that ended\n", taken, 4 * ENDS);
    assert_true(taken > 0);
}

/* --- Readers that stop --- */

static int32_t stop_soon(void *received, const void *bytes, size_t length) {
    (void)bytes;
    *(size_t *)received += length;
    return *(size_t *)received > 1024 * 1024;
}

static procinspect_stream *open_stream(procinspect_dump *dump) {
    procinspect_stream *stream;
    assert_int_equal(procinspect_stream_open_dump(dump, NULL, &stream, NULL), 0);
    return stream;
}

static void push_until_it_stops(procinspect_dump *dump) {
    size_t received = 0;
    procinspect_stream *stream = open_stream(dump);
    assert_int_equal(procinspect_stream_push(stream, stop_soon, &received, NULL),
                     PROCINSPECT_ERROR_CANCELLED);
    procinspect_stream_free(stream);
}

static void write_into_closed_socket(procinspect_dump *dump) {
    int ends[2];
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends), 0);
    close(ends[1]);
    procinspect_stream *stream = open_stream(dump);
    procinspect_error error;
    assert_int_equal(procinspect_stream_write_to_descriptor(stream, ends[0], &error),
                     PROCINSPECT_ERROR_IO);
    assert_int_equal(error.os_errno, EPIPE);
    procinspect_stream_free(stream);
    close(ends[0]);
}

static void test_readers_that_stop(void **state) {
    (void)state;
    const pid_t pid = start_child(still_body);
    procinspect_process *process = open_process(context, pid);
    const size_t descriptors = count_entries("/proc/self/fd");
    const size_t processes = count_entries("/proc/self/task");
    for (uint32_t way = PROCINSPECT_DUMP_WAY_HOLD; way <= PROCINSPECT_DUMP_WAY_LIVE; way++) {
        procinspect_dump *dump = take_well(process, way);
        push_until_it_stops(dump);
        write_into_closed_socket(dump);
        assert_well_formed(dump); /* another one over the same dump has it all */
        procinspect_dump_free(dump);
        assert_int_equal(count_entries("/proc/self/fd"), descriptors);
        assert_int_equal(count_entries("/proc/self/task"), processes);
        assert_beats();
    }
    procinspect_process_free(process);
    end_child(pid);
    assert_int_equal(waitpid(-1, NULL, WNOHANG | __WALL), -1);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_maps_that_change),
        cmocka_unit_test(test_a_process_that_forks),
        cmocka_unit_test(test_threads_that_come_and_go),
        cmocka_unit_test(test_a_process_that_executes),
        cmocka_unit_test(test_a_process_that_ends),
        cmocka_unit_test(test_readers_that_stop),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
