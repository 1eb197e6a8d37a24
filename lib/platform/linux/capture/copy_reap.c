/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <fcntl.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>

#include "platform/linux/capture/copy.h"
#include "platform/linux/capture/fork_thread.h"
#include "platform/linux/trace/helper_system_call.h"
#include "platform/linux/trace/stop_threads.h"

enum {
    MOST_TRIED = 64 /* threads that are interrupted in search of one that can wait */
};

/* Long ones: on a busy machine these may pass until a thread has had its turn. */
static const uint64_t stop_limit_ns = UINT64_C(5000000000);
static const uint64_t uninterruptible_limit_ns = UINT64_C(100000000);
static const uint64_t calls_limit_ns = UINT64_C(10000000000);
static const uint64_t retry_limit_ns = UINT64_C(5000000000);
static const uint64_t retry_step_ns = UINT64_C(5000000);

/* What is waited for, and through whom. */
typedef struct reaping {
    pi_fork *fork;
    const int32_t *pids;
    uint32_t count;
    uint32_t left;
    uint32_t tried;
    bool takes_any; /* also threads that run, or whose stack isn't sure */
    bool is_alive;  /* there is a thread that may yet do it */
    bool is_done;
} reaping;

static void read_maps(pi_fork *fork, int32_t tid) {
    char path[PI_COPY_PATH_BYTES];
    pi_copy_path(path, tid, "/maps");
    long file = pi_helper_open(fork->stop->helper, fork->stop->task_directory, path, O_RDONLY);
    if (file < 0)
        return;
    long got;
    fork->maps_length = 0;
    do {
        got = raw_read((int)file, fork->maps + fork->maps_length,
                       fork->maps_capacity - fork->maps_length);
        fork->maps_length += got > 0 ? (size_t)got : 0;
    } while (got > 0 && fork->maps_length < fork->maps_capacity);
    raw_close((int)file);
}

/* Where the process has executed another program since, these are other ones. */
static void find_gadgets_again(pi_fork *fork, int32_t tid) {
    if (pi_inject_has_gadgets(fork->stop->pid, &fork->gadgets))
        return;
    read_maps(fork, tid);
    pi_inject_search search = {.pid = fork->stop->pid,
                               .maps = fork->maps,
                               .maps_length = fork->maps_length,
                               .code = (unsigned char *)fork->maps + fork->maps_length,
                               .code_capacity = fork->maps_capacity - fork->maps_length};
    pi_inject_find_gadgets(&search, &fork->gadgets);
}

static void wait_for_all(reaping *work) {
    pi_inject *inject = &work->fork->inject;
    for (uint32_t i = 0; i < work->count; i++) {
        const uint64_t arguments[4] = {(uint64_t)work->pids[i], 0, __WALL | WNOHANG};
        long answer;
        if (pi_inject_call(inject, SYS_wait4, arguments, &answer) != PI_INJECT_OK)
            break;
        /* Whoever of the process's own waits for all has had it. */
        work->left -= answer == work->pids[i] || answer == -ECHILD;
    }
}

/* The one thread of fork->stop makes the calls, where it is fit for that. */
static void wait_through(reaping *work) {
    pi_fork *fork = work->fork;
    pi_stop_thread *thread = &fork->stop->threads[0];
    pi_fork_candidate candidates[PI_FORK_MOST_CANDIDATES];
    uintptr_t options;
    bool is_fit = pi_fork_choose(fork, candidates) != 0 &&
                  (work->takes_any ||
                   (candidates[0].has_sure_stack && candidates[0].place <= PI_FORK_BEHIND_CALL)) &&
                  pi_fork_check_thread(fork, &candidates[0], &options) == PI_FORK_DONE;
    if (!is_fit)
        return;
    pi_fork_borrow(fork, &candidates[0], &fork->inject);
    if (pi_inject_begin(&fork->inject) == PI_INJECT_OK) {
        work->is_done = true;
        wait_for_all(work);
        if (pi_inject_end(&fork->inject) != PI_INJECT_OK)
            thread->state = PI_STOP_SEIZED;
    }
    raw_ptrace(PTRACE_SETOPTIONS, thread->tid, 0, 0);
}

/* Interrupts this thread, and lets it go. */
static void try_thread(reaping *work, int32_t tid) {
    pi_fork *fork = work->fork;
    pi_stop *all = fork->stop;
    pi_stop_registers registers;
    pi_stop_thread thread;
    uint32_t slots[2] = {0};
    pi_stop alone = {.helper = all->helper,
                     .pid = all->pid,
                     .task_directory = all->task_directory,
                     .capacity = 1,
                     .threads = &thread,
                     .registers = &registers,
                     .slots = slots,
                     .slot_count = 2,
                     .limit_ns = stop_limit_ns,
                     .uninterruptible_limit_ns = uninterruptible_limit_ns};
    if (fork->maps_length == 0)
        read_maps(fork, tid);
    fork->deadline_ns = raw_now_ns() + calls_limit_ns;
    if (pi_stop_one(&alone, tid) == PI_STOP_OK && pi_stop_read_registers(&alone, &thread)) {
        find_gadgets_again(fork, tid);
        fork->stop = &alone;
        wait_through(work);
        fork->stop = all;
    }
    pi_stop_release(&alone);
    work->tried++;
}

static pi_stop_result visit_thread(pi_stop *stop, const char *name, void *argument) {
    reaping *work = argument;
    int32_t tid = pi_stop_parse_tid(name);
    if (tid == 0)
        return PI_STOP_OK;
    char state = pi_stop_os_state(stop, tid);
    work->is_alive = work->is_alive || (state != 'Z' && state != 'X' && state != 0);
    bool may_stop = state == 'S' || state == 'T' || (work->takes_any && state == 'R');
    if (pi_helper_must_stop(stop->helper))
        return PI_STOP_MUST_END;
    if (may_stop)
        try_thread(work, tid);
    return work->is_done || work->tried >= MOST_TRIED ? PI_STOP_MUST_END : PI_STOP_OK;
}

static void reap_once(reaping *work) {
    work->fork->maps_length = 0;
    work->is_alive = false;
    for (int pass = 0; pass < 2 && !work->is_done; pass++) {
        work->takes_any = pass == 1;
        work->tried = 0;
        pi_stop_list(work->fork->stop, visit_thread, work);
    }
}

/* Another helper may have its threads for a moment: for another dump, or to reap, too. */
uint32_t pi_copy_reap(pi_fork *fork, const int32_t *pids, uint32_t count, bool is_patient) {
    reaping work = {.fork = fork, .pids = pids, .count = count, .left = count};
    uint64_t until_ns = raw_now_ns() + (is_patient ? retry_limit_ns : 0);
    reap_once(&work);
    while (!work.is_done && work.is_alive && raw_now_ns() < until_ns) {
        const struct timespec step = {0, (long)retry_step_ns}; /* in which others get on */
        raw_call(SYS_nanosleep, (long)&step, 0, 0, 0);
        reap_once(&work);
    }
    return work.left;
}
