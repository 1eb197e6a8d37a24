/* What captures leave in the threads that they stopped, or only seized: nothing. */
#include "platform/capture/child.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "platform/linux/trace/stop.h"

enum {
    THREADS = 200,
    SMALL_STACK = 64 * 1024,
    REFUSED_CAPTURES = 8,
    DUMPS_AT_ONCE = 3,
    DUMPS = 150
};

static child_board *own_board;

static void start_thread(void *(*run)(void *), void *argument) {
    pthread_attr_t attributes;
    pthread_t thread;
    pthread_attr_init(&attributes);
    pthread_attr_setstacksize(&attributes, SMALL_STACK);
    if (pthread_create(&thread, &attributes, run, argument) != 0)
        _exit(98);
    pthread_attr_destroy(&attributes);
}

/* --- Signals while a capture gives up --- */

static void count_signal(int number) {
    (void)number;
    atomic_fetch_add(&own_board->words[0], 1);
}

static void *wait_forever(void *argument) {
    for (;;)
        pause();
    return argument;
}

static void *wait_as_last(void *argument) {
    child_board *board = argument;
    atomic_store(&board->tids[0], (int)gettid());
    atomic_store(&board->ready, 1);
    return wait_forever(NULL);
}

/* Only the main thread takes the signal, and the last thread has the highest number: it is the one
 * that a tracer holds, so that all others are seized before the capture is refused. */
static void signalled_body(child_board *board) {
    struct sigaction action = {.sa_handler = count_signal, .sa_flags = SA_RESTART};
    sigset_t counted;
    own_board = board;
    sigaction(SIGRTMIN, &action, NULL);
    sigemptyset(&counted);
    sigaddset(&counted, SIGRTMIN);
    pthread_sigmask(SIG_BLOCK, &counted, NULL);
    for (int i = 0; i < THREADS; i++)
        start_thread(wait_forever, NULL);
    start_thread(wait_as_last, board);
    pthread_sigmask(SIG_UNBLOCK, &counted, NULL);
    wait_forever(NULL);
}

static pid_t start_tracer(pid_t tid) {
    int ready[2];
    char byte = 0;
    assert_int_equal(pipe(ready), 0);
    pid_t tracer = fork();
    assert_true(tracer >= 0);
    if (tracer == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        byte = ptrace(PTRACE_SEIZE, tid, 0, 0) == 0 ? 'y' : 'n';
        if (write(ready[1], &byte, 1) == 1)
            wait_forever(NULL);
        _exit(1);
    }
    assert_int_equal(read(ready[0], &byte, 1), 1);
    assert_int_equal(byte, 'y');
    close(ready[0]);
    close(ready[1]);
    return tracer;
}

typedef struct sender {
    pid_t pid;
    atomic_bool must_end;
    uint64_t sent;
} sender;

static void *send_signals(void *argument) {
    sender *to = argument;
    while (!atomic_load(&to->must_end)) {
        siginfo_t info = {.si_signo = SIGRTMIN, .si_code = SI_QUEUE};
        to->sent += syscall(SYS_rt_tgsigqueueinfo, to->pid, to->pid, SIGRTMIN, &info) == 0;
        usleep(100);
    }
    return NULL;
}

static void test_no_signal_is_lost_in_a_refused_capture(void **state) {
    pthread_t thread;
    (void)state;
    skip_unless_children_can_be_traced();
    test_child child = child_start(signalled_body);
    pid_t tracer = start_tracer(atomic_load(&child.board->tids[0]));
    sender to = {.pid = child.pid};
    assert_int_equal(pthread_create(&thread, NULL, send_signals, &to), 0);
    pi_capture_request request = default_request();
    for (int i = 0; i < REFUSED_CAPTURES; i++)
        assert_capture_fails(child.process, &request, PROCINSPECT_ERROR_TRACED, "traced");
    atomic_store(&to.must_end, true);
    pthread_join(thread, NULL);
    assert_true(to.sent > 0);
    for (int i = 0; i < 5000 && atomic_load(&child.board->words[0]) < to.sent; i++)
        sleep_ms(1);
    assert_int_equal(atomic_load(&child.board->words[0]), to.sent);
    kill(tracer, SIGKILL);
    assert_int_equal(waitpid(tracer, NULL, 0), tracer);
    child_end(&child);
}

/* --- 32-bit code --- */

enum { CODE_ADDRESS = 0x10000000, CODE_BYTES = 4096, CODE_SEGMENT_32 = 0x23 };

/* Jumps into 32-bit code that loops, on a stack that it can reach, as Wine does for the programs
 * that it runs so. */
static void *run_32_bit_code(void *argument) {
    static const unsigned char loop[] = {0xf3, 0x90, 0xeb, 0xfc}; /* pause; jmp to it */
    static struct {
        uint32_t offset;
        uint16_t segment;
    } __attribute__((packed)) target = {CODE_ADDRESS, CODE_SEGMENT_32};
    child_board *board = argument;
    void *code =
        mmap((void *)(uintptr_t)CODE_ADDRESS, CODE_BYTES, PROT_READ | PROT_WRITE | PROT_EXEC,
             MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0);
    if (code == MAP_FAILED)
        _exit(97);
    memcpy(code, loop, sizeof loop);
    atomic_store(&board->tids[0], (int)gettid());
    atomic_store(&board->ready, 1);
    __asm__ volatile("mov %0, %%rsp\n\t"
                     "ljmp *(%1)"
                     :
                     : "r"((uint64_t)CODE_ADDRESS + CODE_BYTES - 16), "r"(&target)
                     : "memory");
    return NULL;
}

static void code_of_32_bits_body(child_board *board) {
    start_thread(beat, board);
    start_thread(run_32_bit_code, board);
    wait_forever(NULL);
}

static void test_a_thread_in_32_bit_code(void **state) {
    (void)state;
    skip_unless_children_can_be_traced();
    test_child child = child_start(code_of_32_bits_body);
    sleep_ms(50); /* until it has jumped */
    if (thread_state(child.pid, child.pid) == 'Z')
        skip(); /* a kernel without 32-bit programs */
    pi_capture_request request = default_request();
    request.max_pause_ms = 60000; /* to be taken for dead takes half of that */
    pi_snapshot *snapshot;
    assert_int_equal(pi_capture(child.process, &request, &snapshot, NULL), 0);
    assert_sound_snapshot(snapshot);
    assert_int_equal(snapshot->report.thread_count, 3);
    assert_int_equal(snapshot->report.note_count, 0);
    const pi_thread_snapshot *thread = find_thread(snapshot, atomic_load(&child.board->tids[0]));
    assert_int_equal(thread->registers.amd64.cs, CODE_SEGMENT_32);
    assert_in_range(thread->registers.amd64.rip, CODE_ADDRESS, CODE_ADDRESS + 3);
    assert_int_equal(thread->registers.amd64.rsp, CODE_ADDRESS + CODE_BYTES - 16);
    pi_snapshot_free(snapshot);
    assert_beats(&child);
    child_end(&child);
}

/* --- A number that belongs to another process by now --- */

static void waiting_body(child_board *board) {
    struct epoll_event event;
    int queue = epoll_create1(EPOLL_CLOEXEC);
    atomic_store(&board->ready, 1);
    epoll_wait(queue, &event, 1, -1); /* a stop that isn't repaired ends it */
    atomic_store(&board->ready, 2);
    wait_forever(NULL);
}

/* A directory that lists the thread and then doesn't know it, as that of a process does where the
 * thread ended in between: a link that leads nowhere. */
static int open_outdated_directory(char *path, pid_t tid) {
    char link[64];
    assert_non_null(mkdtemp(path));
    snprintf(link, sizeof link, "%s/%d", path, (int)tid);
    assert_int_equal(symlink("nowhere", link), 0);
    int directory = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    assert_true(directory >= 0);
    return directory;
}

static void remove_outdated_directory(const char *path, pid_t tid) {
    char link[64];
    snprintf(link, sizeof link, "%s/%d", path, (int)tid);
    assert_int_equal(unlink(link), 0);
    assert_int_equal(rmdir(path), 0);
}

static void test_another_process_with_the_number_is_let_go(void **state) {
    enum { CAPACITY = 8 };
    static pi_stop_thread threads[CAPACITY];
    static uint32_t slots[2 * CAPACITY];
    static char entries[PI_STOP_ENTRIES_BYTES];
    char path[] = "/tmp/procinspect-test-XXXXXX";
    static pi_helper helper;
    (void)state;
    skip_unless_children_can_be_traced();
    test_child child = child_start(waiting_body);
    assert_true(wait_for_thread_state(child.pid, child.pid, 'S'));
    helper.host_pidfd = (int)syscall(SYS_pidfd_open, getpid(), 0);
    pi_stop stop = {.helper = &helper,
                    .pid = 1,
                    .task_directory = open_outdated_directory(path, child.pid),
                    .capacity = CAPACITY,
                    .threads = threads,
                    .slots = slots,
                    .slot_count = 2 * CAPACITY,
                    .entries = entries};
    assert_int_equal(pi_stop_seize(&stop), PI_STOP_GONE);
    assert_int_equal(stop.count, 0);
    /* Not traced any more: we, or a capture, may do it anew. */
    pi_snapshot_free(capture_child(&child));
    assert_true(wait_for_thread_state(child.pid, child.pid, 'S'));
    assert_int_equal(atomic_load(&child.board->ready), 1);
    close(stop.task_directory);
    close(helper.host_pidfd);
    remove_outdated_directory(path, child.pid);
    child_end(&child);
}

/* --- Several captures of one process at once --- */

typedef struct capturer {
    const pi_process *process;
    unsigned captured, traced;
    int32_t wrong_code;
    procinspect_error error;
} capturer;

static void *capture_often(void *argument) {
    capturer *own = argument;
    pi_capture_request request = default_request();
    for (int i = 0; i < DUMPS && own->wrong_code == 0; i++) {
        pi_snapshot *snapshot;
        own->error = (procinspect_error){.code = 1234};
        int32_t code = pi_capture(own->process, &request, &snapshot, &own->error);
        if (code == 0)
            pi_snapshot_free(snapshot);
        /* Untouched, whatever attempts it took. */
        if (code == 0 ? own->error.code != 1234 : code != PROCINSPECT_ERROR_TRACED)
            own->wrong_code = own->error.code;
        own->captured += code == 0;
        own->traced += code == PROCINSPECT_ERROR_TRACED;
    }
    return NULL;
}

static void test_captures_at_once_exclude_each_other(void **state) {
    capturer capturers[DUMPS_AT_ONCE] = {0};
    pthread_t threads[DUMPS_AT_ONCE];
    unsigned captured = 0, traced = 0;
    (void)state;
    skip_unless_children_can_be_traced();
    test_child child = child_start(beating_body);
    for (int i = 0; i < DUMPS_AT_ONCE; i++) {
        capturers[i].process = child.process;
        assert_int_equal(pthread_create(&threads[i], NULL, capture_often, &capturers[i]), 0);
    }
    for (int i = 0; i < DUMPS_AT_ONCE; i++)
        pthread_join(threads[i], NULL);
    for (int i = 0; i < DUMPS_AT_ONCE; i++) {
        if (capturers[i].wrong_code != 0)
            fail_msg("%d: %s", capturers[i].wrong_code, capturers[i].error.message);
        captured += capturers[i].captured;
        traced += capturers[i].traced;
    }
    print_message("%u captured, %u refused because of another\n", captured, traced);
    assert_true(captured > 0);
    assert_beats(&child);
    child_end(&child);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_no_signal_is_lost_in_a_refused_capture),
        cmocka_unit_test(test_a_thread_in_32_bit_code),
        cmocka_unit_test(test_another_process_with_the_number_is_let_go),
        cmocka_unit_test(test_captures_at_once_exclude_each_other),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
