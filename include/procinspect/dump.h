/* SPDX-License-Identifier: MIT */
#ifndef PROCINSPECT_DUMP_H
#define PROCINSPECT_DUMP_H

#include <procinspect/cancellation.h>
#include <procinspect/process.h>

#ifdef __cplusplus
extern "C" {
#endif

/*
 * Dumps. procinspect_dump_capture stops the process only for as long as it must and returns a dump:
 * a minidump file that is never written. Its size is known and every byte of it can be read at any
 * offset; procinspect/stream.h sends it in order. LLDB opens it (`lldb -c FILE`), and so do
 * Breakpad's and rust-minidump's tools. Of a library that is there twice (dlmopen) the copy that
 * the stacks refer to most is called by its name, the others "NAME (copy 2)" and so on, since LLDB
 * knows one module of each name.
 *
 *     procinspect_dump *dump;
 *     if (procinspect_dump_capture(process, NULL, &dump, &error) == 0) {
 *         procinspect_stream *stream;
 *         if (procinspect_stream_open_dump(dump, NULL, &stream, &error) == 0) {
 *             procinspect_stream_write_to_descriptor(stream, descriptor, &error);
 *             procinspect_stream_free(stream);
 *         }
 *         procinspect_dump_free(dump);
 *     }
 *
 * What a capture does to the target. All of its threads are stopped with ptrace by a helper
 * process, which the calling process starts for this and waits for; it has no exit signal, so a
 * SIGCHLD handler or a wait of the host's never notices it. Signals that arrive meanwhile are
 * delivered, calls that were under way go on, and a process that was stopped (SIGSTOP) stays so.
 * System calls that answer EINTR to any stop are made to restart; the timeout of epoll_wait,
 * sigtimedwait, semtimedop, of a socket with a receive or send timeout, and of similar calls then
 * begins anew: it may fire late, by at most its own length for each capture, and never early.
 * Whoever dies when, target, helper or host: the target goes on.
 *
 * Two dumps of one process exclude each other, as debuggers do: a process can have one tracer only.
 * A capture that finds the process traced waits for that to end, 100 ms at most (max_pause_ms where
 * it is a dump of the calling process's own), and then answers TRACED: to be tried again.
 *
 * Privileges. ptrace access to the target: the same user (and a dumpable process: no setuid
 * program), or CAP_SYS_PTRACE. Yama's ptrace_scope 1 without that capability allows the own process
 * only, 2 needs the capability, 3 allows nothing. In a container the capability must be granted,
 * and seccomp must let ptrace through.
 *
 * The own process. Its dumps take turns, whatever contexts they are asked of. Under ptrace_scope 1
 * it names the helper as its tracer (PR_SET_PTRACER), and the kernel keeps one name only and
 * doesn't tell which: a host that had named another, a crash handler say, has to name that one
 * again afterwards. PR_SET_PTRACER_ANY is left as it is.
 */
typedef struct procinspect_dump procinspect_dump;

/* How the target's memory is taken. Values that this version doesn't know how to do answer
 * UNSUPPORTED. */
enum {
    PROCINSPECT_DUMP_WAY_AUTO =
        0, /* chosen by size and circumstances, before the target is touched */
    PROCINSPECT_DUMP_WAY_HOLD = 1,  /* the target stays stopped while it is read into memory */
    PROCINSPECT_DUMP_WAY_COPY = 2,  /* the target is forked while it stands, and runs on: the memory
                                     * is read from the copy, whenever the dump is */
    PROCINSPECT_DUMP_WAY_SPOOL = 3, /* the target stays stopped while its memory is written into a
                                     * file in the context's spool_directory */
    PROCINSPECT_DUMP_WAY_LIVE =
        4 /* the target runs on once registers and stacks are taken, and the
           * rest is read from it whenever the dump is: never AUTO's choice */
};

/* Option flags. */
enum {
    /* Nothing is stopped and none of its memory is read: the call makes the checks that a capture
     * makes before it stops anything, and makes no dump. */
    PROCINSPECT_DUMP_ONLY_CHECK = 0x1,
    /* By copy, memory that the target shares (MAP_SHARED) is read while the dump is, since a copy
     * shares it too. With this it is read while the target stands, as far as the context's
     * hold_buffer_bytes has room: it stands longer for that. */
    PROCINSPECT_DUMP_SHARED_WHILE_STOPPED = 0x2,
    /* Mappings that madvise wants left out of cores (MADV_DONTDUMP), and those that the kernel
     * leaves out itself, aren't taken for the type; the report notes how many. What every dump
     * holds, stacks and the code at the instruction pointers, stays where it lies in one. Which
     * they are is read right before the process is stopped (/proc/PID/smaps, some 50 ms for each
     * GiB in memory): one that has changed by then isn't left out. */
    PROCINSPECT_DUMP_WITHOUT_DONTDUMP = 0x4,
    /* No value of an environment variable is in the dump. The values of the context's
     * redacted_names are in none, with this flag or without it.
     *
     * Each of their bytes is '*', in all parts of the dump and wherever it stands: on the stack, in
     * what the program has copied, in the texts of environ and cmdline. That holds for values of 8
     * bytes or more that the process was started with (/proc/PID/environ, read before and after the
     * capture), and for whatever stands behind a NUL, the variable's name and '=', up to the next
     * NUL, 4,096 bytes at most, where the name has no more than 255: so it does for shorter values
     * there, and for what the process has set since (setenv). A name of redacted_names that has a
     * '*' counts as far as the process was started with such variables. Not found are: shorter
     * values elsewhere, what the program has made of a value (another encoding, a part of it, a
     * hash), and of a value that isn't in one piece in the dump the parts. A note (REDACTED) tells
     * how many variables it were. Other text that is the same as a value is '*', too: with all
     * values that can be paths. Reading the dump takes some 2 ns for each byte more. */
    PROCINSPECT_DUMP_REDACT = 0x8
};

/*
 * What a dump holds: MINIDUMP_TYPE bits, as in Windows' MiniDumpWriteDump, alone and together; what
 * Normal holds is in every dump. The bits without a name here answer UNSUPPORTED in this version.
 *
 * A page exists where the kernel has it in memory or in swap for the process (/proc/PID/pagemap,
 * looked at while it is stopped): what was never touched isn't in a dump. Never read, whatever the
 * type: devices, vvar, vsyscall.
 */
#define PROCINSPECT_DUMP_TYPE_NORMAL UINT32_C(0)
/* MiniDumpWithDataSegs: of writable mappings of files, of the .bss beside them, and of what the
 * dynamic linker has relocated and made read-only (RELRO) the pages that exist. Those that the
 * process never touched are as the file has them. Memory that is shared without a file on disk
 * (memfd, shm) isn't in it. */
#define PROCINSPECT_DUMP_TYPE_WITH_DATA_SEGS UINT32_C(0x1)
/* MiniDumpWithFullMemory: every page that exists, of whatever mapping: also those that may not be
 * read any more (PROT_NONE), shared ones as far as this process has touched them, and those that
 * madvise wants left out of cores (MADV_DONTDUMP), unless PROCINSPECT_DUMP_WITHOUT_DONTDUMP says
 * otherwise. It stands in a Memory64List, which Breakpad's
 * readers don't know; MemoryList has the stacks and the code at the instruction pointers for
 * them. */
#define PROCINSPECT_DUMP_TYPE_WITH_FULL_MEMORY UINT32_C(0x2)
/*
 * HandleDataStream: the open descriptors, as /proc/PID/fd and fdinfo have them right before the
 * process is stopped, the first 65,536 of them and 16 MiB of names; the report notes what that
 * leaves out. A descriptor's object name is the path, with the kernel's " (deleted)", or the
 * kernel's name for a thing without one ("socket:[1234]", "anon_inode:[eventpoll]"); its type name
 * is "file" for a path, else what stands before the colon. GrantedAccess has Windows'
 * FILE_READ_DATA 1, FILE_WRITE_DATA 2, and in the latter's place FILE_APPEND_DATA 4 where O_APPEND
 * is set; 0 is O_PATH. Attributes has OBJ_INHERIT 2 where O_CLOEXEC isn't set. The format has no
 * room for offset and other flags.
 */
#define PROCINSPECT_DUMP_TYPE_WITH_HANDLE_DATA UINT32_C(0x4)
/* MiniDumpWithPrivateReadWriteMemory: private memory of no file that can be read and written, the
 * heap and the whole stacks with it: the pages that exist. */
#define PROCINSPECT_DUMP_TYPE_WITH_PRIVATE_READ_WRITE_MEMORY UINT32_C(0x200)
/*
 * MemoryInfoListStream: each mapping of /proc/PID/maps, as it was while the process stood. All are
 * MEM_COMMIT, those without any access PAGE_NOACCESS. MEM_IMAGE is what belongs to the file of a
 * module, whose base is AllocationBase then, and the vDSO; MEM_MAPPED another file's or a shared
 * mapping; MEM_PRIVATE the rest, .bss included. Linux doesn't tell what a mapping was made with:
 * AllocationProtect is the present protection.
 */
#define PROCINSPECT_DUMP_TYPE_WITH_FULL_MEMORY_INFO UINT32_C(0x800)
/*
 * ThreadInfoListStream: for each thread its start and its processor times, of /proc/PID/task/TID/
 * stat right before the process is stopped, and the processors that it may run on, the first 64, of
 * Cpus_allowed in its status (0: not known). StartAddress is 0: Linux doesn't keep it. A thread
 * that could not be stopped has ERROR_THREAD, one whose times are not known INVALID_INFO, and the
 * thread that takes a dump of its own process WRITING_THREAD.
 */
#define PROCINSPECT_DUMP_TYPE_WITH_THREAD_INFO UINT32_C(0x1000)
/* Memory that can't be read is zero in the dump: that is no error. What is read while the target
 * stands is counted in the report then. It is so whether asked for or not, and the effective type
 * always has this bit. */
#define PROCINSPECT_DUMP_TYPE_IGNORE_INACCESSIBLE_MEMORY UINT32_C(0x20000)
/* All bits that a dump type can have; others are INVALID_ARGUMENT. */
#define PROCINSPECT_DUMP_TYPE_ALL UINT32_C(0x1ffffff)

typedef struct procinspect_dump_options {
    uint32_t struct_size; /* set by _init */
    uint32_t flags;       /* PROCINSPECT_DUMP_… flags, as above */
    /* PROCINSPECT_DUMP_TYPE_… bits. What is in every dump, Normal: registers, stacks (from the
     * stack pointer less the red zone to the end of the mapping, at most 1 MiB a thread), 256 bytes
     * around each instruction pointer, names of threads, modules with build ids, and the texts of
     * cpuinfo, status, os-release, cmdline, environ, auxv, maps, limits. */
    uint32_t type;
    uint32_t way;                           /* PROCINSPECT_DUMP_WAY_… */
    uint32_t max_pause_ms;                  /* 0: the context's; never more than that */
    uint32_t reserved;                      /* must be 0 */
    uint64_t max_dump_bytes;                /* 0: the context's; never more than that */
    procinspect_cancellation *cancellation; /* nullable: ends the capture from another thread */
} procinspect_dump_options;

PROCINSPECT_API void procinspect_dump_options_init(procinspect_dump_options *options,
                                                   size_t struct_size);

/*
 * Takes a dump of the process; options may be NULL. The calling process itself can be dumped too:
 * its threads, the calling one included, are stopped like any other's. Blocks for as long as the
 * capture takes, which is the pause and a little; where another thread of the calling process is
 * taking a dump of the same target it waits for that first, up to max_pause_ms, and answers TRACED
 * then. More memory than max_dump_bytes allows is refused before the target is stopped, or after
 * that where it came to have more in that moment.
 *
 * By hold the target pauses for as long as it takes to read its memory, some 3 ms for 10 MiB;
 * before Linux 6.7 also some 1 ms for each GiB of addresses that it has mapped, used or not. The
 * dump keeps that much memory of the calling process: more than hold_buffer_bytes answers
 * TOO_LARGE.
 *
 * By copy it pauses for about as long as a fork of its own would take, and for a look at the pages
 * of files and of shared memory that it has mapped (before Linux 6.7, at all addresses). One of its
 * threads, which stands still, is made to fork; it is put back as it was before it runs again, also
 * where helper or host are killed at any moment of that (but a call that answers EINTR to any stop
 * may do so then, and a seccomp filter that was suspended may judge the call). The copy never runs;
 * the target gets no SIGCHLD for it, and only its waits with __WALL or __WCLONE could see it. While
 * the copy lives the target's first write to each page costs a fault and a page more, and huge
 * pages are split; the copy counts among the target's memory cgroup and its user's processes, and
 * is the kernel's first choice where memory is short, unless the target's oom_score_adj is 1000 as
 * well; where the cgroup has memory.oom.group set, which ends all of it then, the target goes, too.
 * It ends with the last reference to the dump, at max_copy_seconds or max_copy_growth_bytes
 * (context.h; of a target that has ended, all pages are the copy's), or with the calling process; a
 * helper process of that lives as long, with the table of descriptors that the calling process had
 * then, so that one that replaces itself (execve) should free its dumps before. What a copy lacks
 * (MADV_DONTFORK, MADV_WIPEONFORK, private huge pages of hugetlbfs where they are anonymous or
 * below /dev/hugepages) is read while the target stands, up to hold_buffer_bytes. Shared memory
 * (MAP_SHARED) is read when the dump is, and is in the report as shared_memory_bytes. Pages that
 * can't be read then are zero. A target can't be copied, PERMISSION or UNSUPPORTED, where a seccomp
 * filter would judge the call and the caller has no CAP_SYS_ADMIN to suspend it, where its system
 * calls are sent back to it, it has a shadow stack, a userfaultfd that waits for news of forks, or
 * no code to return through; NO_RESOURCES and NO_MEMORY where the fork was refused.
 *
 * By spool it pauses for as long as it takes to write its memory into a file in the context's
 * spool_directory: into the system's file cache mostly, some 0.5 s for 1 GiB, or as slowly as the
 * disk where that is full. Space for it is reserved before the stop. Another helper process writes,
 * so that a disk which hangs keeps the target no longer than max_pause_ms (TIMED_OUT). The file has
 * no name, or loses it before it has content; its space is free again with the last reference to
 * the dump, or when the calling process ends. Errors besides those of a hold: NO_RESOURCES (no
 * space, a quota, RLIMIT_FSIZE), IO (the directory isn't there or can't be written to; the file
 * can't be read later), UNSUPPORTED (no spool_directory).
 *
 * Live, only where that is asked for, it pauses as for a small dump and for a look at which pages
 * exist. Registers, the innermost 1 MiB of each stack and the code around instruction pointers are
 * of that moment; all else is read from the running process when the dump is, and is no consistent
 * image: a list may lead to where something else is by then. What is gone by then is zero. The
 * report, which is part of the dump, is finished by then, and can't count that; it says how much is
 * read so (shared_memory_bytes, PROCINSPECT_DUMP_NOTE_LIVE). Once the process has ended, or runs
 * another program, reading that part of the dump fails, IO. The process needs nothing but to be
 * traced for a moment: this is what is left where it can't be copied and may not be stopped for
 * long.
 *
 * AUTO is hold where the memory, as it is right before the stop, fits hold_buffer_bytes, else copy;
 * and spool where a copy can't be had, or is refused, and the context names a spool_directory.
 * Where only the attempt at a copy tells that, the target is stopped twice, as it is where it runs
 * another program (execve) meanwhile: max_pause_ms is what it may stand still for in all. The
 * report's way_reason says why it was that way.
 *
 * What had been read of a target that ends meanwhile makes a dump, and the report notes it; GONE
 * where it had not come to that. Free with procinspect_dump_free; the process handle may be freed
 * before.
 *
 * With PROCINSPECT_DUMP_ONLY_CHECK *dump stays as it is, and dump may be NULL; 0 says that nothing
 * speaks against a capture. What is checked: arguments, the policy (its authorize callback is
 * asked), that the context is of the running system, type and way, that one of the
 * max_concurrent_dumps could begin now (no place is taken), where max_dump_bytes is set the size,
 * as procinspect_dump_estimate_read predicts it and in the time that this takes, by hold that the
 * memory that the type takes, were it taken now, is within the context's hold_buffer_bytes,
 * what the target is (ended, a zombie, a kernel thread, traced by another, another architecture),
 * and whether the kernel lets this process trace it (asked by opening /proc/PID/mem, which takes
 * the right to attach; rules of Yama included). What isn't: the time that it takes to stop it; a
 * seccomp filter that forbids the host ptrace itself; whether it can be copied; what the estimate
 * doesn't count.
 *
 * Errors: INVALID_ARGUMENT, POLICY (dumps not allowed), BUSY (max_concurrent_dumps), NOT_FOUND (a
 * zombie, of which nothing is left to dump), GONE, REPLACED, PERMISSION, TRACED, TOO_LARGE,
 * UNSUPPORTED (the type, the way, the target's architecture, a context with its own proc_root, a
 * kernel thread, what can't be copied), TIMED_OUT (max_pause_ms), CANCELLED,
 * IO, NO_MEMORY, NO_RESOURCES. After every one of them the target runs as before.
 */
PROCINSPECT_API int32_t procinspect_dump_capture(const procinspect_process *process,
                                                 const procinspect_dump_options *options,
                                                 procinspect_dump **dump, procinspect_error *error);

/* Gives up the caller's reference; streams over the dump keep theirs. The memory is returned with
 * the last. That of a dump by copy ends the copy, and has the target wait for it through one of its
 * threads: milliseconds as a rule, up to 50 s where the target hangs in the kernel. Hosts with an
 * event loop free dumps and their streams from their thread pool. */
PROCINSPECT_API void procinspect_dump_free(procinspect_dump *dump);

/* Size of the minidump file in bytes. It never changes. Any thread. */
PROCINSPECT_API uint64_t procinspect_dump_size_bytes(const procinspect_dump *dump);

/*
 * Copies up to `capacity` bytes of the file from `offset_bytes` on into buffer, as many as there
 * are, and sets *length to their number: fewer than capacity only at the end, 0 at or beyond it.
 * Any thread. Errors: INVALID_ARGUMENT, IO (the copy has ended: max_copy_seconds,
 * max_copy_growth_bytes, or killed; the file of a spooled dump can't be read; the process of a live
 * one has ended. The message says which).
 */
PROCINSPECT_API int32_t procinspect_dump_read_at(const procinspect_dump *dump,
                                                 uint64_t offset_bytes, void *buffer,
                                                 size_t capacity, size_t *length,
                                                 procinspect_error *error);

/* One thing that a dump could not give, or gives in part; or an estimate. */
typedef struct procinspect_dump_note {
    uint32_t kind; /* PROCINSPECT_DUMP_NOTE_… */
    int32_t tid;   /* the thread it is about, 0 for none */
    const char *text;
} procinspect_dump_note;

enum {
    PROCINSPECT_DUMP_NOTE_LEFT_OUT = 1,           /* something that the type asks for isn't there */
    PROCINSPECT_DUMP_NOTE_SHORTENED = 2,          /* a stack or a text was longer than the limit */
    PROCINSPECT_DUMP_NOTE_UNREADABLE = 3,         /* memory that could not be read */
    PROCINSPECT_DUMP_NOTE_THREAD_NOT_STOPPED = 4, /* no registers and no stack of this thread */
    PROCINSPECT_DUMP_NOTE_SHARED = 6,             /* memory that isn't as it was in the pause */
    PROCINSPECT_DUMP_NOTE_LIVE = 7, /* all that isn't as it was in the pause: a live dump is no
                                     * consistent image */
    PROCINSPECT_DUMP_NOTE_PAUSE_EXCEEDED = 5, /* the pause was longer than max_pause_ms: letting go
                                               * of the threads had to wait for a processor */
    PROCINSPECT_DUMP_NOTE_NOT_COUNTED =
        8,                             /* of an estimate alone: what the dump may have besides */
    PROCINSPECT_DUMP_NOTE_REDACTED = 9 /* values of environment variables are masked */
};

/* What the dump is and what it cost. It is also inside the dump, as JSON, in stream type
 * 0x50490001, and its notes once more, for Mozilla's readers, in 0x4d7a0004. */
typedef struct procinspect_dump_report {
    int32_t pid;
    uint32_t requested_type;
    uint32_t effective_type; /* what the header of the file carries: with 0x20000 always, and
                              * without what could not be had, of which there is a note */
    uint32_t way;            /* PROCINSPECT_DUMP_WAY_…, the one that was taken */
    uint64_t size_bytes;
    uint64_t memory_bytes;            /* of the target's memory in it */
    uint64_t unreadable_memory_bytes; /* that should be in it, and could not be read */
    uint32_t thread_count;            /* threads in it, with their registers */
    uint32_t module_count;
    uint32_t
        restarted_call_count; /* calls that would have answered EINTR, and were made to restart */
    uint32_t reserved;
    int64_t captured_at_unix_ns;
    uint64_t pause_ns; /* from the first thread's stop to the last one's start; of a process that
                        * was stopped more than once, all of that together */
    /* The pause by phase, likewise: until all threads stood; registers; memory; until all ran
     * again. Registers that are read during a fork count as memory. */
    uint64_t pause_stop_ns;
    uint64_t pause_registers_ns;
    uint64_t pause_memory_ns;
    uint64_t pause_resume_ns;
    uint64_t total_ns; /* the whole call */
    const procinspect_dump_note *const *notes;
    size_t note_count;
    uint64_t pause_copy_ns;       /* of pause_memory_ns: the fork; 0 where there was none */
    uint64_t shared_memory_bytes; /* of memory_bytes, what is read from memory that the process goes
                                   * on writing to, while the dump is: by copy, and live */
    const char *way_reason;       /* a sentence: why `way` was taken */
} procinspect_dump_report;

/* The report of a dump; borrowed, lives as long as the dump. */
PROCINSPECT_API const procinspect_dump_report *
procinspect_dump_report_get(const procinspect_dump *dump);

/* What a dump would be, were it taken now. Its members are as those of the report. */
typedef struct procinspect_dump_estimate {
    int32_t pid;
    uint32_t requested_type;
    uint32_t effective_type;
    uint32_t way;                 /* PROCINSPECT_DUMP_WAY_…, the one that would be taken */
    uint64_t size_bytes;          /* of the minidump file */
    uint64_t memory_bytes;        /* of the target's memory in it */
    uint64_t shared_memory_bytes; /* by copy: of these, what would be read while the dump is */
    uint32_t thread_count;
    uint32_t module_count;
    int64_t estimated_at_unix_ns;
    const procinspect_dump_note *const *notes; /* what would be left out or shortened, and what the
                                                * estimate doesn't count */
    size_t note_count;
} procinspect_dump_estimate;

/*
 * A dry run: predicts the dump that procinspect_dump_capture would take with these options, which
 * may be NULL. Nothing is stopped and none of the target's memory is read: all is as /proc tells it
 * of the running process. It makes the checks of ONLY_CHECK and has its errors but for BUSY;
 * TOO_LARGE names the size of the whole file, where that is above max_dump_bytes. It takes as long
 * as reading the target's page tables twice: some 40 ms for each GiB that exists. *estimate is the
 * caller's, to be freed with procinspect_dump_estimate_free.
 *
 * Of a process that does nothing meanwhile the size is within 2 % of the dump's, as a rule within
 * 1,000 bytes. What it doesn't count: of threads that run, unless the type takes the whole stacks
 * anyway, their stacks (NOT_COUNTED notes name them), and a stack that a signal handler on another
 * one has interrupted. A thread that sleeps uninterruptibly in that moment counts as one that can't
 * be stopped. What a copy couldn't have (MADV_DONTFORK and the like) isn't told apart. Of a dump
 * that is sent as zip it is the size of what is inside.
 */
PROCINSPECT_API int32_t procinspect_dump_estimate_read(const procinspect_process *process,
                                                       const procinspect_dump_options *options,
                                                       const procinspect_dump_estimate **estimate,
                                                       procinspect_error *error);
PROCINSPECT_API void procinspect_dump_estimate_free(const procinspect_dump_estimate *estimate);

#ifdef __cplusplus
}
#endif

#endif
