/* io_uring_enter(2) and io_getevents(2), by raw system calls: no library is needed for a wait. */
#include "blocking_calls.h"

#include <errno.h>
#include <linux/aio_abi.h>
#include <linux/io_uring.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#define ALL_FORMS (FORM_TIMEOUT | FORM_EVENT | FORM_EVENT_OR_TIMEOUT)

/* The worker takes completions out, the waker puts entries in: each side is used by one thread. */
struct ring {
    unsigned char *queues;
    size_t queues_bytes;
    struct io_uring_sqe *entries;
    size_t entries_bytes;
    struct io_uring_params params;
};

static void close_ring(struct worker *w) {
    struct ring *ring = w->state;
    if (ring != NULL && ring->queues != NULL) {
        munmap(ring->queues, ring->queues_bytes);
    }
    if (ring != NULL && ring->entries != NULL) {
        munmap(ring->entries, ring->entries_bytes);
    }
    free(ring);
    w->state = NULL;
    close_descriptors(w);
}

static void *map_ring(int fd, size_t bytes, uint64_t offset) {
    void *address =
        mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_POPULATE, fd, (off_t)offset);
    return address == MAP_FAILED ? NULL : address;
}

static bool open_ring(struct worker *w) {
    struct ring *ring = calloc(1, sizeof *ring);
    w->state = ring;
    if (ring == NULL) {
        return not_available(w, "memory");
    }
    w->fds[0] = (int)syscall(SYS_io_uring_setup, 4, &ring->params);
    if (w->fds[0] < 0) {
        return not_available(w, "io_uring_setup");
    }
    const struct io_uring_params *p = &ring->params;
    if ((p->features & IORING_FEAT_SINGLE_MMAP) == 0 || (p->features & IORING_FEAT_EXT_ARG) == 0) {
        errno = ENOSYS;
        return not_available(w, "io_uring with one mapping and timeouts");
    }
    ring->queues_bytes = p->cq_off.cqes + p->cq_entries * sizeof(struct io_uring_cqe);
    ring->entries_bytes = p->sq_entries * sizeof(struct io_uring_sqe);
    ring->queues = map_ring(w->fds[0], ring->queues_bytes, IORING_OFF_SQ_RING);
    ring->entries = map_ring(w->fds[0], ring->entries_bytes, IORING_OFF_SQES);
    return (ring->queues != NULL && ring->entries != NULL) || not_available(w, "io_uring mappings");
}

static _Atomic unsigned *ring_counter(struct ring *ring, unsigned offset) {
    return (_Atomic unsigned *)(void *)(ring->queues + offset);
}

/* An operation without an effect, which completes as it is submitted. */
static bool wake_ring(struct worker *w) {
    struct ring *ring = w->state;
    _Atomic unsigned *tail = ring_counter(ring, ring->params.sq_off.tail);
    const unsigned slot = atomic_load(tail) % ring->params.sq_entries;
    unsigned *indexes = (unsigned *)(void *)(ring->queues + ring->params.sq_off.array);
    memset(&ring->entries[slot], 0, sizeof ring->entries[slot]);
    ring->entries[slot].opcode = IORING_OP_NOP;
    ring->entries[slot].user_data = next_event(w);
    indexes[slot] = slot;
    atomic_fetch_add(tail, 1);
    return syscall(SYS_io_uring_enter, w->fds[0], 1, 0, 0, NULL, 0) == 1;
}

static enum outcome call_io_uring_enter(struct worker *w, int timeout_ms) {
    struct ring *ring = w->state;
    struct timespec span = timespec_of_ms(timeout_ms);
    struct io_uring_getevents_arg argument = {.ts = (uint64_t)(uintptr_t)&span};
    const long result =
        timeout_ms < 0
            ? syscall(SYS_io_uring_enter, w->fds[0], 0, 1, IORING_ENTER_GETEVENTS, NULL, 0)
            : syscall(SYS_io_uring_enter, w->fds[0], 0, 1,
                      IORING_ENTER_GETEVENTS | IORING_ENTER_EXT_ARG, &argument, sizeof argument);
    if (result < 0) {
        return outcome_of_errno(w, ETIME);
    }
    _Atomic unsigned *head = ring_counter(ring, ring->params.cq_off.head);
    const unsigned available =
        atomic_load(ring_counter(ring, ring->params.cq_off.tail)) - atomic_load(head);
    if (available != 1) {
        return outcome_of_value(w, available, 1);
    }
    const struct io_uring_cqe *completions =
        (const struct io_uring_cqe *)(const void *)(ring->queues + ring->params.cq_off.cqes);
    const uint64_t number = completions[atomic_load(head) % ring->params.cq_entries].user_data;
    atomic_fetch_add(head, 1);
    return number == next_event(w) ? OUTCOME_EVENT
                                   : outcome_of_value(w, (int64_t)number, next_event(w));
}

/* fds[0] is a descriptor that is always readable: polling it completes at once. */
static bool open_aio(struct worker *w) {
    aio_context_t context = 0;
    if (syscall(SYS_io_setup, 4, &context) != 0) {
        return not_available(w, "io_setup");
    }
    w->state = (void *)context;
    w->fds[0] = eventfd(1, EFD_CLOEXEC);
    return w->fds[0] >= 0 || not_available(w, "eventfd");
}

static void close_aio(struct worker *w) {
    if (w->state != NULL) {
        syscall(SYS_io_destroy, (aio_context_t)w->state);
    }
    close_descriptors(w);
}

static bool wake_aio(struct worker *w) {
    struct iocb request = {.aio_data = next_event(w),
                           .aio_lio_opcode = IOCB_CMD_POLL,
                           .aio_fildes = (uint32_t)w->fds[0],
                           .aio_buf = 1 /* POLLIN */};
    struct iocb *requests[] = {&request};
    return syscall(SYS_io_submit, (aio_context_t)w->state, 1, requests) == 1;
}

static enum outcome aio_outcome(struct worker *w, long count, const struct io_event *event) {
    if (count <= 0) {
        return count == 0 ? OUTCOME_TIMEOUT : outcome_of_errno(w, 0);
    }
    return event->data == next_event(w) ? OUTCOME_EVENT
                                        : outcome_of_value(w, (int64_t)event->data, next_event(w));
}

static enum outcome call_io_getevents(struct worker *w, int timeout_ms) {
    struct timespec span = timespec_of_ms(timeout_ms);
    struct io_event event = {0};
    const long count = syscall(SYS_io_getevents, (aio_context_t)w->state, 1, 1, &event,
                               timeout_ms < 0 ? NULL : &span);
    return aio_outcome(w, count, &event);
}

static enum outcome call_io_pgetevents(struct worker *w, int timeout_ms) {
    struct timespec span = timespec_of_ms(timeout_ms);
    struct io_event event = {0};
    const long count = syscall(SYS_io_pgetevents, (aio_context_t)w->state, 1, 1, &event,
                               timeout_ms < 0 ? NULL : &span, NULL);
    return aio_outcome(w, count, &event);
}

const struct kind aio_kinds[] = {
    {.name = "io_uring_enter",
     .forms = ALL_FORMS,
     .open = open_ring,
     .call = call_io_uring_enter,
     .wake = wake_ring,
     .close = close_ring},
    {.name = "io_getevents",
     .forms = ALL_FORMS,
     .open = open_aio,
     .call = call_io_getevents,
     .wake = wake_aio,
     .close = close_aio},
    {.name = "io_pgetevents",
     .forms = ALL_FORMS,
     .open = open_aio,
     .call = call_io_pgetevents,
     .wake = wake_aio,
     .close = close_aio},
    {0},
};
