/* SPDX-License-Identifier: MIT */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/error.h"
#include "platform/linux/capture/parts.h"
#include "platform/linux/trace/register_sets.h"

enum { AFFINITY_PROCESSORS = 64 }; /* as many as a snapshot has bits for */

/* A thread of the hold, to be sorted: `planned` is its memory plan, NULL without registers. */
typedef struct held_thread {
    const pi_stop_thread *stopped;
    const pi_stop_registers *registers;
    const pi_plan_thread *planned;
} held_thread;

static bool is_in_dump(const pi_stop_thread *thread) {
    return thread->has_registers || thread->state == PI_STOP_RUNS;
}

static int compare_tids(const void *left, const void *right) {
    int32_t a = ((const held_thread *)left)->stopped->tid;
    int32_t b = ((const held_thread *)right)->stopped->tid;
    return (a > b) - (a < b);
}

/* The threads for the dump, the main thread first and then by ascending tid. */
static size_t collect(const pi_hold *hold, held_thread *threads) {
    size_t count = 0, planned = 0;
    for (uint32_t i = 0; i < hold->stop.count; i++) {
        const pi_stop_thread *stopped = &hold->stop.threads[i];
        const pi_plan_thread *plan = stopped->has_registers ? &hold->plan.threads[planned++] : NULL;
        if (is_in_dump(stopped))
            threads[count++] = (held_thread){stopped, &hold->stop.registers[i], plan};
    }
    qsort(threads, count, sizeof *threads, compare_tids);
    for (size_t i = 1; i < count; i++) {
        if (threads[i].stopped->tid != hold->pid)
            continue;
        held_thread main_thread = threads[i];
        memmove(threads + 1, threads, i * sizeof *threads);
        threads[0] = main_thread;
        break;
    }
    return count;
}

/* The threads of one snapshot while they are filled in. */
typedef struct thread_filling {
    const pi_process *process;
    const pi_known_threads *known;
    pi_arena *arena;
    pi_capture_notes *notes;
    bool with_info;      /* ThreadInfoList is asked for */
    bool has_all_memory; /* stacks that readers get less of are in the dump nevertheless */
    bool has_all_stacks; /* of threads that have one to themselves, at least */
    bool is_predicted;
    int32_t caller;      /* the thread that takes the dump, of its own process; 0: none */
    bool lacks_affinity; /* of some thread, such as has no bit in the snapshot */
} thread_filling;

static void take_info(const procinspect_thread_info *info, pi_thread_snapshot *thread) {
    static const uint64_t times = PROCINSPECT_THREAD_START_TIME | PROCINSPECT_THREAD_CPU_TIME;
    thread->priority = info->priority;
    thread->nice = info->nice;
    if (info->name != NULL)
        thread->name = (pi_bytes){info->name, strlen(info->name)};
    thread->has_times = (info->known & times) == times;
    thread->start_time_unix_ns = info->start_time_unix_ns;
    thread->user_cpu_ns = info->user_cpu_time_ns;
    thread->kernel_cpu_ns = info->kernel_cpu_time_ns;
}

/* Of what there is in /proc; a thread that ended before it was asked for stays without a name. */
static void describe(thread_filling *filling, pi_thread_snapshot *thread) {
    pi_known_thread found = pi_known_threads_find(filling->process, filling->known,
                                                  filling->with_info, thread->tid, filling->arena);
    if (found.info != NULL)
        take_info(found.info, thread);
    thread->has_affinity = found.affinity.is_known;
    thread->affinity = found.affinity.processors;
    thread->is_caller = thread->tid == filling->caller;
    filling->lacks_affinity |= found.affinity.has_more;
}

/* What is told of a thread without stopping it has no stack pointer while it runs. */
static bool note_uncounted(const thread_filling *filling, int32_t tid) {
    return filling->has_all_stacks ||
           pi_capture_note(filling->notes, PROCINSPECT_DUMP_NOTE_NOT_COUNTED, tid,
                           "Thread %d ran when it was looked at, so how much of its stack the "
                           "dump would hold isn't known: none of it is counted.",
                           (int)tid);
}

static bool note_thread(const thread_filling *filling, const pi_thread_snapshot *thread,
                        const held_thread *held) {
    pi_capture_notes *notes = filling->notes;
    if (!thread->has_registers)
        return pi_capture_note(
            notes, PROCINSPECT_DUMP_NOTE_THREAD_NOT_STOPPED, thread->tid,
            "Thread %d sleeps in the kernel where nothing can stop it (state D: "
            "slow storage, or a vfork whose child has neither executed a program nor ended).",
            (int)thread->tid);
    if (filling->is_predicted && held->planned->stack_pointer == 0)
        return note_uncounted(filling, thread->tid);
    if (held->planned->whole_stack_bytes == 0)
        return pi_capture_note(notes, PROCINSPECT_DUMP_NOTE_UNREADABLE, thread->tid,
                               "The stack pointer of thread %d, 0x%" PRIx64
                               ", leads to no memory that can be read.",
                               (int)thread->tid, held->planned->stack_pointer);
    if (held->planned->is_shortened && !filling->has_all_memory)
        return pi_capture_note(notes, PROCINSPECT_DUMP_NOTE_SHORTENED, thread->tid,
                               "The stack of thread %d is in the dump with its innermost %" PRIu64
                               " of %" PRIu64 " bytes: a dump holds at most %u KiB of each, and as "
                               "much of all as the host's hold_buffer_bytes has room for.",
                               (int)thread->tid, thread->stack.size_bytes,
                               held->planned->whole_stack_bytes,
                               (unsigned)(PI_PLAN_MAX_STACK_BYTES >> 10));
    return true;
}

static bool note_missing_threads(const pi_hold *hold, pi_capture_notes *notes) {
    bool noted = true;
    if (hold->stop.has_dead_main)
        noted = pi_capture_note(notes, PROCINSPECT_DUMP_NOTE_LEFT_OUT, hold->pid,
                                "The main thread has ended before the others.");
    if (hold->stop.is_full)
        noted = noted && pi_capture_note(notes, PROCINSPECT_DUMP_NOTE_THREAD_NOT_STOPPED, 0,
                                         "More than %u threads: those beyond that went on running.",
                                         (unsigned)hold->stop.capacity);
    return noted;
}

/* What ThreadInfoList has to leave open. */
static bool note_info(const thread_filling *filling, const pi_snapshot *snapshot) {
    bool noted = pi_capture_note(filling->notes, PROCINSPECT_DUMP_NOTE_LEFT_OUT, 0,
                                 "Linux doesn't keep where a thread began: the start addresses in "
                                 "ThreadInfoList are 0.");
    if (filling->lacks_affinity && snapshot->processor_count > AFFINITY_PROCESSORS)
        noted = noted && pi_capture_note(filling->notes, PROCINSPECT_DUMP_NOTE_SHORTENED, 0,
                                         "ThreadInfoList says of the first %d processors which of "
                                         "them a thread may run on, and this machine has %u.",
                                         AFFINITY_PROCESSORS, (unsigned)snapshot->processor_count);
    return noted;
}

static bool fill(thread_filling *filling, const held_thread *held, pi_thread_snapshot *thread) {
    thread->tid = held->stopped->tid;
    thread->has_registers =
        held->planned != NULL &&
        pi_registers_from_sets_amd64(&held->registers->general, sizeof held->registers->general,
                                     &held->registers->floating, sizeof held->registers->floating,
                                     &thread->registers);
    if (thread->has_registers)
        thread->stack = held->planned->stack;
    describe(filling, thread);
    return note_thread(filling, thread, held);
}

int32_t pi_capture_threads(const pi_process *process, const pi_hold *hold,
                           const pi_known_threads *known, pi_arena *arena, pi_capture_notes *notes,
                           pi_snapshot *snapshot, procinspect_error *error) {
    held_thread *threads = calloc(hold->stop.count + 1u, sizeof *threads);
    if (threads == NULL)
        return pi_error_no_memory(error);
    thread_filling filling = {
        .process = process,
        .known = known,
        .arena = arena,
        .notes = notes,
        .with_info =
            (snapshot->report.effective_type & PROCINSPECT_DUMP_TYPE_WITH_THREAD_INFO) != 0,
        .has_all_memory = (hold->choice.type & PROCINSPECT_DUMP_TYPE_WITH_FULL_MEMORY) != 0,
        .has_all_stacks =
            (hold->choice.type & (PROCINSPECT_DUMP_TYPE_WITH_FULL_MEMORY |
                                  PROCINSPECT_DUMP_TYPE_WITH_PRIVATE_READ_WRITE_MEMORY)) != 0,
        .is_predicted = hold->is_predicted,
        .caller = process->pid == getpid() ? gettid() : 0,
    };
    size_t count = collect(hold, threads);
    snapshot->threads = pi_arena_alloc_array(arena, count, sizeof *snapshot->threads);
    bool enough_memory = snapshot->threads != NULL && note_missing_threads(hold, notes);
    for (size_t i = 0; i < count && enough_memory; i++) {
        enough_memory = fill(&filling, &threads[i], &snapshot->threads[i]);
        snapshot->report.thread_count += snapshot->threads[i].has_registers;
    }
    snapshot->thread_count = count;
    if (filling.with_info)
        enough_memory = enough_memory && note_info(&filling, snapshot);
    free(threads);
    return enough_memory ? PROCINSPECT_OK : pi_capture_exhausted(arena, error);
}
