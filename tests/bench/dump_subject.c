/* SPDX-License-Identifier: MIT */
#include "bench/dump_subject.h"

#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <stdint.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "bench/bench.h"

/* What it is asked for. Each is answered with a duration, but for TICK, which the next one ends. */
enum { ASK_FORK = 'f', ASK_TICK = 't', ASK_LONGEST_GAP = 'g' };

static void *wait_for_ever(void *unused) {
    for (;;)
        pause();
    return unused;
}

static double fork_once(void) {
    double begin = bench_now();
    long pid = syscall(SYS_clone, CLONE_FILES, 0, NULL, NULL, 0);
    if (pid == 0)
        _exit(0);
    double end = bench_now();
    if (pid < 0 || waitpid((pid_t)pid, NULL, __WALL) != pid)
        _exit(1);
    return end - begin;
}

static double tick_until_asked(int ask) {
    static const struct timespec often = {0, 200000};
    struct pollfd item = {.fd = ask, .events = POLLIN};
    double longest = 0, last = bench_now();
    while (ppoll(&item, 1, &often, NULL) <= 0) {
        double now = bench_now();
        longest = now - last > longest ? now - last : longest;
        last = now;
    }
    return longest;
}

static void answer_with(const dump_subject *self, double duration) {
    if (write(self->answer, &duration, sizeof duration) != sizeof duration)
        _exit(0);
}

static void answer_for_ever(const dump_subject *self) {
    char asked;
    double gap = 0;
    while (read(self->ask, &asked, 1) == 1) {
        if (asked == ASK_TICK)
            gap = tick_until_asked(self->ask);
        else
            answer_with(self, asked == ASK_FORK ? fork_once() : gap);
    }
}

static _Noreturn void be_subject(const dump_subject *self) {
    pthread_attr_t attributes;
    pthread_t thread;
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    memset(self->memory, 1, self->bytes);
    pthread_attr_init(&attributes);
    pthread_attr_setstacksize(&attributes, 64 * 1024);
    for (size_t i = 1; i < self->threads; i++)
        if (pthread_create(&thread, &attributes, wait_for_ever, NULL) != 0)
            _exit(1);
    answer_with(self, 0); /* it is ready */
    answer_for_ever(self);
    _exit(0);
}

static void ask(const dump_subject *subject, char what) {
    if (write(subject->ask, &what, 1) != 1)
        bench_fail("the target ended");
}

static double answer_of(const dump_subject *subject) {
    double duration;
    if (read(subject->answer, &duration, sizeof duration) != sizeof duration)
        bench_fail("the target ended");
    return duration;
}

dump_subject dump_subject_start(const dump_shape *shape) {
    int to[2], from[2];
    dump_subject made = {.bytes = shape->mebibytes << 20, .threads = shape->threads};
    made.memory =
        mmap(NULL, made.bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (made.memory == MAP_FAILED || pipe(to) != 0 || pipe(from) != 0)
        bench_fail("mmap or pipe");
    madvise(made.memory, made.bytes, shape->is_huge ? MADV_HUGEPAGE : MADV_NOHUGEPAGE);
    made.pid = fork();
    if (made.pid < 0)
        bench_fail("fork");
    made.ask = made.pid == 0 ? to[0] : to[1];
    made.answer = made.pid == 0 ? from[1] : from[0];
    if (made.pid == 0)
        be_subject(&made);
    close(to[0]);
    close(from[1]);
    answer_of(&made);
    return made;
}

void dump_subject_end(dump_subject *subject) {
    bench_child_end(subject->pid);
    munmap(subject->memory, subject->bytes);
    close(subject->ask);
    close(subject->answer);
}

double dump_subject_fork(const dump_subject *subject) {
    ask(subject, ASK_FORK);
    return answer_of(subject);
}

void dump_subject_begin_ticking(const dump_subject *subject) {
    ask(subject, ASK_TICK);
}

double dump_subject_longest_gap(const dump_subject *subject) {
    ask(subject, ASK_LONGEST_GAP);
    return answer_of(subject);
}
