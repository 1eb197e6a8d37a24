/* A tree of processes of a kind that is hard to end.
 * usage: tree LOG KIND [NUMBER]   LOG is a file of sizeof(tree_log) zeros; see main for the kinds.
 */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "tree_log.h"

enum {
    CROWD = 60,
    CHAINS = 8,
    LONGEST_PAUSE_US = 3000,
    FORKING_THREADS = 4,
    MOST_CHILDREN = 8,
    LONGEST_LIFE_S = 120
};

static tree_log *history;
static int place; /* our own, in the log */
static unsigned seed;

static uint64_t now_ns(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

static void sleep_us(unsigned us) {
    nanosleep(&(struct timespec){.tv_sec = us / 1000000, .tv_nsec = us % 1000000 * 1000L}, NULL);
}

static int take_place(void) {
    int next = atomic_fetch_add(&history->count, 1);
    if (next >= TREE_LOG_PROCESSES)
        _exit(9);
    history->processes[next].parent = place;
    history->processes[next].born_ns = now_ns();
    return next;
}

static void settle(int own_place) {
    place = own_place;
    history->processes[place].pid = (int32_t)getpid();
    seed = (unsigned)getpid() * 2654435761u;
    alarm(LONGEST_LIFE_S); /* should the test be killed */
}

/* fork that is written down. */
static pid_t grow(void) {
    while (atomic_load(&history->stop))
        pause();
    int next = take_place();
    pid_t pid = fork();
    if (pid == 0)
        settle(next);
    else if (pid > 0)
        history->processes[next].pid = (int32_t)pid;
    else
        sleep_us(LONGEST_PAUSE_US);
    return pid;
}

static _Noreturn void finish(void) {
    history->processes[place].end_ns = now_ns();
    _exit(0);
}

static _Noreturn void stay(void) {
    for (;;)
        pause();
}

static void wait_for_go(void) {
    while (!atomic_load(&history->go))
        sched_yield();
}

static void wait_for_alive(int count) {
    while (atomic_load(&history->alive) < count)
        sleep_us(500);
}

static _Noreturn void stay_alive(void) {
    atomic_fetch_add(&history->alive, 1);
    stay();
}

static _Noreturn void stand_ready(void) {
    atomic_store(&history->ready, 1);
    stay();
}

/* Never stops forking; once there is a crowd the children end at once. They need a processor for
 * that: the pace is theirs, or all numbers of the system would soon be taken. */
static _Noreturn void fork_without_pause(void) {
    for (int children = 0;;) {
        children++;
        if (grow() == 0) {
            children = 0;
            if (atomic_fetch_add(&history->alive, 1) >= CROWD)
                finish();
        }
        while (waitpid(-1, NULL, children < MOST_CHILDREN ? WNOHANG : 0) > 0)
            children--;
    }
}

/* Each forks the next and ends: nobody lives long, and the link to the root is gone at once. */
static _Noreturn void run(void) {
    for (;;)
        if (grow() != 0)
            finish();
}

static _Noreturn void run_after_go(void) {
    atomic_fetch_add(&history->alive, 1);
    wait_for_go();
    sleep_us((unsigned)rand_r(&seed) % LONGEST_PAUSE_US);
    run();
}

/* Leaves a child behind and ends. */
static _Noreturn void leave_child(void) {
    sleep_us((unsigned)rand_r(&seed) % LONGEST_PAUSE_US);
    if (grow() == 0)
        stay();
    finish();
}

static _Noreturn void keep_workers(void) {
    for (int i = 0; i < CHAINS; i++)
        if (grow() == 0)
            leave_child();
    atomic_store(&history->ready, 1);
    for (;;) {
        if (waitpid(-1, NULL, 0) > 0 && grow() == 0)
            leave_child();
    }
}

static _Noreturn void detach_after_go(void) {
    atomic_fetch_add(&history->alive, 1);
    wait_for_go();
    if (grow() != 0)
        finish();
    setsid();
    if (grow() != 0)
        finish();
    stay();
}

static _Noreturn void ignore_signals(void) {
    for (int number = 1; number < NSIG; number++)
        signal(number, SIG_IGN);
    stay_alive();
}

static void become_root(int number) {
    (void)number;
    syscall(SYS_setresuid, 0, 0, 0);
}

/* Started by an ordinary user as a program that is root's: he may signal it until it is asked to
 * end, and not any more from then on. */
static _Noreturn void become_root_when_asked(void) {
    signal(SIGTERM, become_root);
    stay_alive();
}

static _Noreturn void leave_groups(void) {
    if (place % 2 == 0)
        setsid();
    else
        setpgid(0, 0);
    if (grow() == 0)
        stay_alive();
    stay_alive();
}

static _Noreturn void stop_itself(void) {
    atomic_fetch_add(&history->alive, 1);
    for (;;)
        raise(SIGSTOP);
}

/* The parent of a vfork waits in the kernel, where no signal but SIGKILL reaches it. */
static _Noreturn void wait_in_vfork(void) {
    int next = take_place();
    pid_t pid = (pid_t)syscall(SYS_vfork);
    if (pid == 0) {
        history->processes[next].pid = (int32_t)getpid();
        stay_alive();
    }
    stay();
}

/* At the pace of those that end at once: what nobody waits for keeps its number. */
static _Noreturn void *fork_in_thread(void *unused) {
    (void)unused;
    wait_for_go();
    for (;;) {
        int next = take_place();
        bool stays = atomic_fetch_add(&history->alive, 1) < CROWD;
        pid_t pid = fork();
        if (pid == 0) {
            settle(next);
            if (stays)
                stay();
            finish();
        }
        if (!stays)
            waitpid(pid, NULL, 0);
    }
}

static _Noreturn void fork_in_threads(void) {
    for (int i = 0; i < FORKING_THREADS; i++) {
        pthread_t thread;
        if (pthread_create(&thread, NULL, fork_in_thread, NULL) != 0)
            _exit(8);
    }
    atomic_fetch_add(&history->alive, 1);
    for (;;) {
        if (waitpid(-1, NULL, 0) < 0)
            sleep_us(1000);
    }
}

/* The first process ends, and others go on as its threads: state Z, and alive. */
static _Noreturn void live_without_leader(void) {
    pthread_t thread;
    if (pthread_create(&thread, NULL, fork_in_thread, NULL) != 0)
        _exit(8);
    atomic_fetch_add(&history->alive, 1);
    pthread_exit(NULL);
}

/* A namespace with an init of its own, and children there. */
static _Noreturn void enter_namespace(void) {
    if (unshare(CLONE_NEWPID) != 0 && unshare(CLONE_NEWUSER | CLONE_NEWPID) != 0)
        _exit(7);
    if (grow() == 0) {
        for (int i = 0; i < 3; i++)
            if (grow() == 0)
                stay_alive();
        stay_alive();
    }
    stay_alive();
}

static _Noreturn void grow_deep(int depth) {
    atomic_fetch_add(&history->alive, 1);
    while (depth-- > 0 && grow() == 0)
        atomic_fetch_add(&history->alive, 1);
    stay();
}

static const char *other_program;

static _Noreturn void become_other_program(void) {
    atomic_fetch_add(&history->alive, 1);
    execl(other_program, other_program, "3600", (char *)NULL);
    _exit(6);
}

static _Noreturn void be_zombie(void) {
    atomic_fetch_add(&history->alive, 1);
    _exit(0);
}

static const struct kind {
    const char *name;
    void (*member)(void);
    int count;
    int alive; /* how many of them report that they stand */
} kinds[] = {
    {"wide", stay_alive, 3, 3},
    {"runners", run_after_go, CHAINS, CHAINS},
    {"daemons", detach_after_go, CHAINS, CHAINS},
    {"deaf", ignore_signals, 3, 3},
    {"risers", become_root_when_asked, 2, 2},
    {"groups", leave_groups, 4, 8},
    {"stopped", stop_itself, 3, 3},
    {"vfork", wait_in_vfork, 3, 3},
    {"threads", fork_in_threads, 2, 2},
    {"leaderless", live_without_leader, 2, 2},
    {"namespace", enter_namespace, 1, 5},
    {"program", become_other_program, 2, 2},
    {"zombies", be_zombie, 3, 3},
};

static void grow_kind(const struct kind *kind, int count) {
    for (int i = 0; i < count; i++)
        if (grow() == 0)
            kind->member();
    wait_for_alive(kind->alive - kind->count + count);
    stand_ready();
}

/* Our registers were not ours. */
static void note_crash(int signal) {
    (void)signal;
    atomic_fetch_add(&history->crashed, 1);
    _exit(5);
}

static void watch_for_crashes(void) {
    static const int signals[] = {SIGSEGV, SIGBUS, SIGILL, SIGTRAP, SIGFPE, SIGSYS};
    for (size_t i = 0; i < sizeof signals / sizeof signals[0]; i++)
        signal(signals[i], note_crash);
}

int main(int argc, char **argv) {
    int file = argc >= 3 ? open(argv[1], O_RDWR | O_CLOEXEC) : -1;
    history = mmap(NULL, sizeof *history, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
    if (file < 0 || history == MAP_FAILED)
        return 2;
    watch_for_crashes();
    place = -1;
    settle(take_place());
    int number = argc > 3 ? atoi(argv[3]) : 0;
    other_program = argc > 4 ? argv[4] : "/bin/sleep";
    if (strcmp(argv[2], "workers") == 0)
        keep_workers();
    if (strcmp(argv[2], "deep") == 0) {
        if (grow() == 0)
            grow_deep(number - 1);
        wait_for_alive(number);
        stand_ready();
    }
    if (strcmp(argv[2], "forks") == 0) {
        if (grow() != 0) /* a busy machine may end it before it has another */
            atomic_store(&history->ready, 1);
        fork_without_pause();
    }
    for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++)
        if (strcmp(argv[2], kinds[i].name) == 0)
            grow_kind(&kinds[i], number > 0 ? number : kinds[i].count);
    return 3;
}
