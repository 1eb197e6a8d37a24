#include "platform/capture/fork_run.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/uio.h>
#include <unistd.h>

#include "platform/capture/child.h"
#include "platform/linux/trace/helper_system_call.h"

/* No test has a limit that a machine could miss which a hundred others want. */
#define LONG_NS UINT64_C(60000000000)

enum { THREADS = 1024, MAPS_BYTES = 1024 * 1024, CODE_BYTES = 65536, WAIT_STEP_NS = 1000000 };

bool fork_lacks_restorer;

/* All that a helper works in. */
typedef struct fork_tables {
    pi_fork fork;
    pi_stop stop;
    pi_stop_thread threads[THREADS];
    uint32_t slots[2 * THREADS];
    char entries[PI_STOP_ENTRIES_BYTES] __attribute__((aligned(8)));
    pi_stop_registers registers[THREADS];
    char maps[MAPS_BYTES];
    unsigned char code[CODE_BYTES];
} fork_tables;

/* What runs in the helper is built without instrumentation, like the library's files for it. */
#define IN_HELPER __attribute__((no_sanitize("address", "undefined", "thread"), noinline))

IN_HELPER static void begin_round(fork_run *run, pi_helper *helper, fork_tables *tables, int task) {
    for (uint32_t i = 0; i < 2 * THREADS; i++)
        tables->slots[i] = 0;
    pi_stop *stop = &tables->stop;
    stop->helper = helper;
    stop->pid = run->pid;
    stop->task_directory = task;
    stop->capacity = THREADS;
    stop->threads = tables->threads;
    stop->registers = tables->registers;
    stop->slots = tables->slots;
    stop->slot_count = 2 * THREADS;
    stop->entries = tables->entries;
    stop->limit_ns = LONG_NS;
    stop->uninterruptible_limit_ns = LONG_NS;
    stop->count = stop->standing = stop->running = 0;
    stop->has_dead_main = stop->is_full = 0;
    pi_fork *fork = &tables->fork;
    fork->stop = stop;
    fork->proc = run->proc;
    fork->maps = tables->maps;
    fork->maps_capacity = MAPS_BYTES;
    fork->copy_pid = fork->copy_pid_in_target = fork->through_tid = fork->failed_errno = 0;
}

IN_HELPER static void read_maps(fork_run *run, pi_helper *helper, pi_fork *fork) {
    long file = pi_helper_open(helper, run->directory, "maps", O_RDONLY);
    long got = 1;
    fork->maps_length = 0;
    while (file >= 0 && got > 0) {
        got = raw_read((int)file, fork->maps + fork->maps_length,
                       fork->maps_capacity - fork->maps_length);
        fork->maps_length += got > 0 ? (size_t)got : 0;
    }
    if (file >= 0)
        raw_close((int)file);
}

IN_HELPER static void find_out(fork_run *run, pi_helper *helper, fork_tables *tables) {
    pi_fork *fork = &tables->fork;
    pi_inject_search search;
    read_maps(run, helper, fork);
    search.pid = run->pid;
    search.maps = fork->maps;
    search.maps_length = fork->maps_length;
    search.near = 0;
    search.code = tables->code;
    search.code_capacity = CODE_BYTES;
    pi_inject_find_gadgets(&search, &fork->gadgets);
    if (run->lacks_restorer)
        fork->gadgets.restorer = 0;
    fork->has_fork_events = run->limit_ns == 0 && pi_fork_has_events(helper, run->directory);
    run->old_copies = pi_copy_reap_old(fork);
}

IN_HELPER static void stop_and_fork(fork_run *run, pi_helper *helper, fork_tables *tables) {
    pi_stop *stop = &tables->stop;
    run->stopped = pi_stop_seize(stop);
    if (run->stopped == PI_STOP_OK)
        run->stopped = pi_stop_interrupt(stop);
    if (run->stopped == PI_STOP_OK) {
        for (uint32_t i = 0; i < stop->count; i++)
            if (stop->threads[i].state == PI_STOP_STANDS)
                pi_stop_read_registers(stop, &stop->threads[i]);
        read_maps(run, helper, &tables->fork);
        tables->fork.deadline_ns = raw_now_ns() + (run->limit_ns != 0 ? run->limit_ns : LONG_NS);
        run->result = pi_fork_target(&tables->fork);
        for (uint32_t i = 0; i < stop->count; i++)
            if (stop->threads[i].tid == tables->fork.through_tid)
                run->through_code = (long)tables->registers[i].general.orig_rax < 0;
    }
    pi_stop_release(stop);
}

IN_HELPER static void wait_for_end(fork_run *run, pi_helper *helper) {
    while (atomic_load(&run->may_end) == 0 && !pi_helper_must_stop(helper)) {
        struct timespec step = {0, WAIT_STEP_NS};
        raw_call(SYS_nanosleep, (long)&step, 0, 0, 0);
    }
}

IN_HELPER static void run_fork(pi_helper *helper, void *argument) {
    fork_run *run = argument;
    fork_tables *tables = run->tables;
    long task = pi_helper_open(helper, run->directory, "task", O_RDONLY | O_DIRECTORY);
    atomic_store(&run->helper_pid, (int)raw_call(SYS_getpid, 0, 0, 0, 0));
    do {
        begin_round(run, helper, tables, (int)task);
        find_out(run, helper, tables);
        stop_and_fork(run, helper, tables);
        if (tables->fork.copy_pid != 0)
            run->has_settled = pi_copy_settle(&tables->fork);
        atomic_store(&run->phase, FORK_COPIED);
        if (!run->repeats)
            wait_for_end(run, helper);
        run->has_ended = pi_copy_end(&tables->fork);
        atomic_fetch_add(&run->rounds, 1);
    } while (run->repeats && !pi_helper_must_stop(helper));
    raw_close((int)task);
}

static void *run_helper(void *argument) {
    fork_run *run = argument;
    procinspect_error error = {0};
    pi_helper_job job = {.run = run_fork, .argument = run, .proc = run->proc};
    run->helper_result = pi_helper_run(&job, &error);
    atomic_store(&run->phase, FORK_FINISHED);
    return NULL;
}

static fork_run *start(pid_t pid, bool repeats, uint64_t limit_ns) {
    fork_run *run = calloc(1, sizeof *run);
    char path[32];
    assert_non_null(run);
    snprintf(path, sizeof path, "/proc/%d", (int)pid);
    run->pid = pid;
    run->repeats = repeats;
    run->limit_ns = limit_ns;
    run->lacks_restorer = fork_lacks_restorer;
    run->proc = open("/proc", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    run->directory = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    run->table_bytes = sizeof(fork_tables);
    run->tables =
        mmap(NULL, run->table_bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    assert_true(run->tables != MAP_FAILED);
    assert_true(run->proc >= 0 && run->directory >= 0);
    run->fork = &((fork_tables *)run->tables)->fork;
    assert_int_equal(pthread_create(&run->thread, NULL, run_helper, run), 0);
    return run;
}

fork_run *fork_begin_limited(pid_t pid, uint64_t limit_ns) {
    fork_run *run = start(pid, false, limit_ns);
    while (atomic_load(&run->phase) == FORK_STARTED)
        sleep_ms(1);
    return run;
}

fork_run *fork_begin(pid_t pid) {
    return fork_begin_limited(pid, 0);
}

fork_run *fork_begin_repeated(pid_t pid) {
    return start(pid, true, 0);
}

void fork_end(fork_run *run) {
    atomic_store(&run->may_end, 1);
    pthread_join(run->thread, NULL);
}

void fork_free(fork_run *run) {
    close(run->proc);
    close(run->directory);
    munmap(run->tables, run->table_bytes);
    free(run);
}

void fork_once(pid_t pid) {
    fork_run *run = fork_begin(pid);
    fork_end(run);
    assert_int_equal(run->helper_result, 0);
    assert_int_equal(run->old_copies, 0);
    assert_int_equal(run->stopped, PI_STOP_OK);
    assert_int_equal(run->result, PI_FORK_DONE);
    assert_true(run->has_settled);
    assert_true(run->has_ended);
    fork_free(run);
}

void read_memory_of(pid_t pid, const void *address, void *data, size_t length) {
    struct iovec here = {data, length}, there = {(void *)(uintptr_t)address, length};
    assert_int_equal(process_vm_readv(pid, &here, 1, &there, 1, 0), length);
}

static int count_children_of_thread(pid_t pid, const char *tid, bool only_living) {
    char path[64];
    int count = 0, child;
    snprintf(path, sizeof path, "/proc/%d/task/%.16s/children", (int)pid, tid);
    FILE *file = fopen(path, "re");
    if (file == NULL)
        return -1;
    while (fscanf(file, "%d", &child) == 1)
        count +=
            !only_living || (thread_state(child, child) != 'Z' && thread_state(child, child) != 0);
    fclose(file);
    return count;
}

static int count_all(pid_t pid, bool only_living) {
    char path[32];
    int count = 0;
    snprintf(path, sizeof path, "/proc/%d/task", (int)pid);
    DIR *task = opendir(path);
    assert_non_null(task);
    const struct dirent *entry;
    while ((entry = readdir(task)) != NULL) {
        int found =
            entry->d_name[0] == '.' ? 0 : count_children_of_thread(pid, entry->d_name, only_living);
        count = count < 0 || found < 0 ? -1 : count + found;
    }
    closedir(task);
    return count;
}

int count_children(pid_t pid) {
    return count_all(pid, false);
}

int count_living_children(pid_t pid) {
    return count_all(pid, true);
}
