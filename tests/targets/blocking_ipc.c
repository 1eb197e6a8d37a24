/* System V and POSIX message queues and semaphores. */
#include "blocking_calls.h"

#include <errno.h>
#include <fcntl.h>
#include <mqueue.h>
#include <stdio.h>
#include <sys/ipc.h>
#include <sys/msg.h>
#include <sys/sem.h>
#include <time.h>
#include <unistd.h>

#define ALL_FORMS (FORM_TIMEOUT | FORM_EVENT | FORM_EVENT_OR_TIMEOUT)

static bool open_semaphore_set(struct worker *w) {
    w->ipc_id = semget(IPC_PRIVATE, 1, 0600);
    return w->ipc_id >= 0 || not_available(w, "semget");
}

static void close_semaphore_set(struct worker *w) {
    if (w->ipc_id >= 0) {
        semctl(w->ipc_id, 0, IPC_RMID);
    }
}

static bool wake_semaphore_set(struct worker *w) {
    struct sembuf up = {.sem_op = 1};
    return semop(w->ipc_id, &up, 1) == 0;
}

static enum outcome call_semop(struct worker *w, int timeout_ms) {
    struct sembuf down = {.sem_op = -1};
    const struct timespec span = timespec_of_ms(timeout_ms);
    const int result =
        timeout_ms < 0 ? semop(w->ipc_id, &down, 1) : semtimedop(w->ipc_id, &down, 1, &span);
    return result == 0 ? OUTCOME_EVENT : outcome_of_errno(w, EAGAIN);
}

struct numbered_message {
    long type;
    unsigned number;
};

static bool open_message_queue(struct worker *w) {
    w->ipc_id = msgget(IPC_PRIVATE, 0600);
    return w->ipc_id >= 0 || not_available(w, "msgget");
}

static void close_message_queue(struct worker *w) {
    if (w->ipc_id >= 0) {
        msgctl(w->ipc_id, IPC_RMID, NULL);
    }
}

static bool wake_message_queue(struct worker *w) {
    const struct numbered_message message = {.type = 1, .number = next_event(w)};
    return msgsnd(w->ipc_id, &message, sizeof message.number, IPC_NOWAIT) == 0;
}

static enum outcome call_msgrcv(struct worker *w, int timeout_ms) {
    struct numbered_message message = {0};
    (void)timeout_ms;
    if (msgrcv(w->ipc_id, &message, sizeof message.number, 0, 0) < 0) {
        return outcome_of_errno(w, 0);
    }
    return message.number == next_event(w) ? OUTCOME_EVENT
                                           : outcome_of_value(w, message.number, next_event(w));
}

static bool open_mqueue(struct worker *w) {
    const struct mq_attr attributes = {.mq_maxmsg = 1, .mq_msgsize = sizeof(unsigned)};
    char name[64];
    snprintf(name, sizeof name, "/blocking-calls-%d-%p", (int)getpid(), (void *)w);
    w->fds[0] = mq_open(name, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600, &attributes);
    if (w->fds[0] < 0) {
        return not_available(w, "mq_open");
    }
    mq_unlink(name);
    return true;
}

static bool wake_mqueue(struct worker *w) {
    const unsigned number = next_event(w);
    return mq_send(w->fds[0], (const char *)&number, sizeof number, 0) == 0;
}

static enum outcome call_mq_receive(struct worker *w, int timeout_ms) {
    unsigned number = 0;
    const struct timespec end = deadline_after(CLOCK_REALTIME, timeout_ms);
    const ssize_t length =
        timeout_ms < 0 ? mq_receive(w->fds[0], (char *)&number, sizeof number, NULL)
                       : mq_timedreceive(w->fds[0], (char *)&number, sizeof number, NULL, &end);
    if (length < 0) {
        return outcome_of_errno(w, ETIMEDOUT);
    }
    return number == next_event(w) ? OUTCOME_EVENT : outcome_of_value(w, number, next_event(w));
}

const struct kind ipc_kinds[] = {
    {.name = "semop",
     .forms = ALL_FORMS,
     .open = open_semaphore_set,
     .call = call_semop,
     .wake = wake_semaphore_set,
     .close = close_semaphore_set},
    {.name = "msgrcv",
     .forms = FORM_EVENT,
     .open = open_message_queue,
     .call = call_msgrcv,
     .wake = wake_message_queue,
     .close = close_message_queue},
    {.name = "mq_receive",
     .forms = ALL_FORMS,
     .granularity_ms = 1,
     .open = open_mqueue,
     .call = call_mq_receive,
     .wake = wake_mqueue,
     .close = close_descriptors},
    {0},
};
