/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <fcntl.h>
#include <linux/falloc.h>
#include <stddef.h>
#include <sys/ptrace.h>

#include "platform/linux/trace/helper_system_call.h"
#include "platform/linux/trace/stop.h"

/* After these modes a second run moves the file's bytes once more. */
static bool moves_bytes(unsigned long long mode) {
    return (mode & (FALLOC_FL_COLLAPSE_RANGE | FALLOC_FL_INSERT_RANGE)) != 0;
}

/* Where the file had been made before the wait that was interrupted, a second run would find it. */
static bool must_make_a_file(unsigned long long flags) {
    return (flags & O_EXCL) != 0;
}

/*
 * The calls that answer a bare EINTR to any wake-up (signal(7) lists most of them). In each, EINTR
 * means that nothing was done yet, so running it anew with the same arguments is what the target
 * asked for. Never close(): its EINTR comes after the descriptor is gone. Never ioctl(): every
 * driver has its own meaning.
 *
 * A FUSE server may answer EINTR to whatever it was asked, once it has heard that the caller was
 * interrupted. Of the calls on files those are listed that read, or that come to the same when done
 * twice; not those that make, rename or remove something, nor openat2, whose flags are in memory.
 */
bool pi_call_needs_restart(const struct user_regs_struct *registers) {
    if ((long)registers->rax != -EINTR || (long)registers->orig_rax < 0)
        return false;
    switch (registers->orig_rax) {
    /* Wait for events; a relative timeout begins anew. */
    case SYS_epoll_wait:
    case SYS_epoll_pwait:
    case SYS_epoll_pwait2:
    case SYS_io_getevents:
    case SYS_io_pgetevents:
    case SYS_rt_sigtimedwait: /* sigwait and sigwaitinfo too */
    /* Nothing submitted, and no completion yet: with something submitted it answers that. */
    case SYS_io_uring_enter:
    /* Restarted by the kernel, unless it can't write the remaining time back (read-only memory, or
     * the personality STICKY_TIMEOUTS). */
    case SYS_select:
    case SYS_pselect6:
    case SYS_ppoll:
    /* The whole set of operations is done at once or not at all. */
    case SYS_semop:
    case SYS_semtimedop:
    /* On a socket with SO_RCVTIMEO or SO_SNDTIMEO, and nothing transferred yet. */
    case SYS_read:
    case SYS_readv:
    case SYS_preadv2:
    case SYS_recvfrom:
    case SYS_recvmsg:
    case SYS_recvmmsg:
    case SYS_write:
    case SYS_writev:
    case SYS_pwritev2:
    case SYS_sendto:
    case SYS_sendmsg:
    case SYS_sendmmsg:
    case SYS_sendfile:
    case SYS_splice:
    case SYS_accept:
    case SYS_accept4:
    case SYS_connect: /* goes on waiting for the connection that is under way */
    /* On FUSE, as some of these too. */
    case SYS_pread64:
    case SYS_preadv:
    case SYS_pwrite64:
    case SYS_pwritev:
    case SYS_copy_file_range:
    case SYS_lseek:
    case SYS_fsync:
    case SYS_fdatasync:
    case SYS_ftruncate:
    case SYS_truncate:
    case SYS_getdents:
    case SYS_getdents64:
    case SYS_stat:
    case SYS_lstat:
    case SYS_fstat:
    case SYS_newfstatat:
    case SYS_statx:
    case SYS_statfs:
    case SYS_fstatfs:
    case SYS_access:
    case SYS_faccessat:
    case SYS_faccessat2:
    case SYS_readlink:
    case SYS_readlinkat:
    case SYS_chdir:
    case SYS_execve: /* of the program that runs on */
    case SYS_execveat:
        return true;
    case SYS_open:
        return !must_make_a_file(registers->rsi);
    case SYS_openat:
        return !must_make_a_file(registers->rdx);
    /* On tmpfs: it takes back what it had allocated. */
    case SYS_fallocate:
        return !moves_bytes(registers->rsi);
    default:
        return false;
    }
}

void pi_call_restart(int32_t tid) {
    raw_ptrace(PTRACE_POKEUSER, tid, offsetof(struct user, regs.rax), (uintptr_t)PI_CALL_RESTARTS);
}
