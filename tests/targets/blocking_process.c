/* Calls that wait for a child, or for a lock on a file. */
#include "blocking_calls.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

/* A child that lives until a byte comes through the pipe and then exits with that byte. */
static bool arm_child(struct worker *w) {
    close_descriptors(w);
    if (pipe2(w->fds, O_CLOEXEC) != 0) {
        return false;
    }
    w->child = fork();
    if (w->child == 0) {
        unsigned char status = 0;
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        close(w->fds[1]);
        _exit(read(w->fds[0], &status, 1) == 1 ? status : 255);
    }
    return w->child > 0;
}

static unsigned char exit_status_of_event(const struct worker *w) {
    return (unsigned char)(next_event(w) % 100);
}

static bool wake_child(struct worker *w) {
    const unsigned char status = exit_status_of_event(w);
    return write(w->fds[1], &status, 1) == 1;
}

static void close_child(struct worker *w) {
    if (w->child > 0) {
        kill(w->child, SIGKILL);
        waitpid(w->child, NULL, 0);
    }
    close_descriptors(w);
}

static enum outcome child_outcome(struct worker *w, int status) {
    w->child = 0;
    return status == exit_status_of_event(w) ? OUTCOME_EVENT
                                             : outcome_of_value(w, status, exit_status_of_event(w));
}

static enum outcome call_waitpid(struct worker *w, int timeout_ms) {
    int status = 0;
    (void)timeout_ms;
    const pid_t pid = waitpid(w->child, &status, 0);
    if (pid < 0) {
        return outcome_of_errno(w, 0);
    }
    return child_outcome(w, WIFEXITED(status) ? WEXITSTATUS(status) : -status);
}

static enum outcome call_waitid(struct worker *w, int timeout_ms) {
    siginfo_t info = {0};
    (void)timeout_ms;
    if (waitid(P_PID, (id_t)w->child, &info, WEXITED) != 0) {
        return outcome_of_errno(w, 0);
    }
    return child_outcome(w, info.si_code == CLD_EXITED ? info.si_status : -info.si_status);
}

/* Two open file descriptions of one file: the first holds the lock, the worker waits with the
 * second. */
static bool open_locked_file(struct worker *w) {
    char path[64];
    w->fds[0] = memfd_create("locked", MFD_CLOEXEC);
    snprintf(path, sizeof path, "/proc/self/fd/%d", w->fds[0]);
    w->fds[1] = open(path, O_RDWR | O_CLOEXEC);
    return (w->fds[0] >= 0 && w->fds[1] >= 0) || not_available(w, "a file to lock");
}

static bool arm_flock(struct worker *w) {
    return flock(w->fds[0], LOCK_EX | LOCK_NB) == 0;
}

static bool wake_flock(struct worker *w) {
    return flock(w->fds[0], LOCK_UN) == 0;
}

static enum outcome call_flock(struct worker *w, int timeout_ms) {
    (void)timeout_ms;
    if (flock(w->fds[1], LOCK_EX) != 0) {
        return outcome_of_errno(w, 0);
    }
    return flock(w->fds[1], LOCK_UN) == 0 ? OUTCOME_EVENT : outcome_of_errno(w, 0);
}

static bool set_record_lock(int fd, int command, short type) {
    struct flock lock = {.l_type = type, .l_whence = SEEK_SET};
    return fcntl(fd, command, &lock) == 0;
}

static bool arm_record_lock(struct worker *w) {
    return set_record_lock(w->fds[0], F_OFD_SETLK, F_WRLCK);
}

static bool wake_record_lock(struct worker *w) {
    return set_record_lock(w->fds[0], F_OFD_SETLK, F_UNLCK);
}

static enum outcome call_record_lock(struct worker *w, int timeout_ms) {
    (void)timeout_ms;
    return set_record_lock(w->fds[1], F_OFD_SETLKW, F_WRLCK) &&
                   set_record_lock(w->fds[1], F_OFD_SETLK, F_UNLCK)
               ? OUTCOME_EVENT
               : outcome_of_errno(w, 0);
}

const struct kind process_kinds[] = {
    {.name = "waitpid",
     .forms = FORM_EVENT,
     .arm = arm_child,
     .call = call_waitpid,
     .wake = wake_child,
     .close = close_child},
    {.name = "waitid",
     .forms = FORM_EVENT,
     .arm = arm_child,
     .call = call_waitid,
     .wake = wake_child,
     .close = close_child},
    {.name = "flock",
     .forms = FORM_EVENT,
     .open = open_locked_file,
     .arm = arm_flock,
     .call = call_flock,
     .wake = wake_flock,
     .close = close_descriptors},
    {.name = "fcntl_setlkw",
     .forms = FORM_EVENT,
     .open = open_locked_file,
     .arm = arm_record_lock,
     .call = call_record_lock,
     .wake = wake_record_lock,
     .close = close_descriptors},
    {0},
};
