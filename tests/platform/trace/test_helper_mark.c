/* Whose a descriptor is in a table that several share. */
#include "platform/linux/trace/helper_mark.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <sys/wait.h>
#include <unistd.h>

enum { MARKS = 12, WAIT_STEPS = 20000 };

/* Threads that each take a mark, and keep it until they are told. */
typedef struct mark_holders {
    pthread_t threads[MARKS];
    atomic_int marks[MARKS];
    atomic_int next;
    atomic_bool must_end;
} mark_holders;

static void *hold_mark(void *argument) {
    mark_holders *holders = argument;
    int mark = 0;
    if (pi_helper_mark_take(NULL, &mark, NULL) == 0)
        atomic_store(&holders->marks[atomic_fetch_add(&holders->next, 1)], mark);
    while (!atomic_load(&holders->must_end))
        usleep(1000);
    pi_helper_mark_give_back(mark);
    return NULL;
}

static void start_holders(mark_holders *holders) {
    for (int i = 0; i < MARKS; i++)
        assert_int_equal(pthread_create(&holders->threads[i], NULL, hold_mark, holders), 0);
    for (int i = 0; i < MARKS; i++)
        for (int k = 0; k < WAIT_STEPS && atomic_load(&holders->marks[i]) == 0; k++)
            usleep(1000);
}

static void end_holders(mark_holders *holders) {
    atomic_store(&holders->must_end, true);
    for (int i = 0; i < MARKS; i++)
        assert_int_equal(pthread_join(holders->threads[i], NULL), 0);
}

static void test_no_two_have_the_same(void **state) {
    mark_holders holders = {0};
    (void)state;
    start_holders(&holders);
    for (int i = 0; i < MARKS; i++)
        for (int k = 0; k < i; k++)
            assert_int_not_equal(holders.marks[i], holders.marks[k]);
    end_holders(&holders);
}

typedef struct waiter {
    procinspect_cancellation *cancellation;
    int32_t code;
    int mark;
    atomic_bool has_ended;
} waiter;

static void *wait_for_mark(void *argument) {
    waiter *own = argument;
    own->code = pi_helper_mark_take(own->cancellation, &own->mark, NULL);
    if (own->code == 0)
        pi_helper_mark_give_back(own->mark);
    atomic_store(&own->has_ended, true);
    return NULL;
}

static void test_one_more_waits(void **state) {
    mark_holders holders = {0};
    waiter cancelled = {0}, served = {0};
    pthread_t threads[2];
    (void)state;
    assert_int_equal(procinspect_cancellation_new(&cancelled.cancellation, NULL), 0);
    start_holders(&holders);
    assert_int_equal(pthread_create(&threads[0], NULL, wait_for_mark, &cancelled), 0);
    assert_int_equal(pthread_create(&threads[1], NULL, wait_for_mark, &served), 0);
    usleep(20000);
    assert_false(atomic_load(&cancelled.has_ended) || atomic_load(&served.has_ended));
    procinspect_cancellation_request(cancelled.cancellation);
    assert_int_equal(pthread_join(threads[0], NULL), 0);
    assert_int_equal(cancelled.code, PROCINSPECT_ERROR_CANCELLED);
    assert_false(atomic_load(&served.has_ended));
    end_holders(&holders);
    assert_int_equal(pthread_join(threads[1], NULL), 0);
    assert_int_equal(served.code, 0);
    procinspect_cancellation_free(cancelled.cancellation);
}

/* Its threads aren't in the child. */
static void test_all_are_free_after_a_fork(void **state) {
    mark_holders holders = {0};
    int status;
    (void)state;
    start_holders(&holders);
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        mark_holders own = {0};
        alarm(20);
        start_holders(&own);
        end_holders(&own);
        _exit(atomic_load(&own.next) == MARKS ? 0 : 1);
    }
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_int_equal(status, 0);
    end_holders(&holders);
}

static int open_marked(const char *path, int mark) {
    int file = open(path, O_RDONLY | O_CLOEXEC | mark);
    assert_true(file >= 0);
    return file;
}

static bool is_open(int file) {
    return fcntl(file, F_GETFD) >= 0;
}

static void test_only_what_has_the_mark_is_closed(void **state) {
    mark_holders holders = {0};
    int others[MARKS];
    (void)state;
    int proc = open("/proc", O_PATH | O_DIRECTORY | O_CLOEXEC);
    assert_true(proc >= 0);
    start_holders(&holders);
    for (int i = 0; i < MARKS; i++)
        others[i] = open_marked("/proc/self/maps", atomic_load(&holders.marks[i]));
    int mark = atomic_load(&holders.marks[0]);
    int file = open_marked("/proc/self/stat", mark);
    int directory = open_marked("/proc/self/task", mark | O_DIRECTORY);
    int high = fcntl(file, F_DUPFD_CLOEXEC, 900);
    int elsewhere = open_marked("/dev/null", mark);
    int of_host = open_marked("/proc/self/stat", O_NOFOLLOW);
    assert_true(high >= 900);
    pi_helper_mark_close_all(mark, proc);
    assert_false(is_open(others[0]) || is_open(file) || is_open(directory) || is_open(high));
    assert_true(is_open(elsewhere) && is_open(of_host));
    close(elsewhere);
    close(of_host);
    for (int i = 1; i < MARKS; i++) {
        assert_true(is_open(others[i]));
        close(others[i]);
    }
    end_holders(&holders);
    close(proc);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_no_two_have_the_same),
        cmocka_unit_test(test_one_more_waits),
        cmocka_unit_test(test_all_are_free_after_a_fork),
        cmocka_unit_test(test_only_what_has_the_mark_is_closed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
