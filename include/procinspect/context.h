/* SPDX-License-Identifier: MIT */
#ifndef PROCINSPECT_CONTEXT_H
#define PROCINSPECT_CONTEXT_H

#include <procinspect/error.h>

#ifdef __cplusplus
extern "C" {
#endif

/*
 * A context holds what the host decided once: where the processes are looked for, what may be done
 * to whose processes, and the limits. It is immutable once made and may be used by any number of
 * threads at the same time. It must outlive nothing: handles that were made from it keep what they
 * need.
 *
 * Of long lists that were freed a context keeps memory for the next ones: at most 16 MiB, which the
 * system takes back whenever it runs short (MADV_FREE; until then it counts as resident), and all
 * of it is given back when the context is freed. It isn't cleared: what the lists told,
 * environments, too, stays in the host's memory as in any that was freed, until it is overwritten.
 */
typedef struct procinspect_context procinspect_context;

/*
 * What a context may allow besides looking. Looking (processes, threads, modules, open files) is
 * always allowed within the user scope; a target's environment holds secrets, and a dump or a kill
 * changes things: each has to be allowed.
 */
enum {
    PROCINSPECT_ALLOW_ENVIRONMENT = 0x1, /* names and values of environment variables, and what is
                                          * made of values: PROCINSPECT_PROCESS_WEB_JOB */
    PROCINSPECT_ALLOW_DUMP = 0x2,        /* memory, and so whatever secret is in it */
    PROCINSPECT_ALLOW_KILL = 0x4
};

/* Whose processes a context gives access to. The owner of a process is its effective user, which is
 * the owner of the directory /proc/PID. */
enum {
    PROCINSPECT_USER_SCOPE_OWN = 0, /* the effective user that the host runs as */
    PROCINSPECT_USER_SCOPE_ALL = 1  /* every user's, as far as the kernel permits */
};

/* What an authorize callback is asked about. */
enum {
    PROCINSPECT_ACTION_LOOK = 1, /* asked once for each process that is opened, not for listings */
    PROCINSPECT_ACTION_ENVIRONMENT = 2,
    PROCINSPECT_ACTION_DUMP = 3,
    PROCINSPECT_ACTION_KILL = 4
};

/* Handed to an authorize callback; valid during the call. */
typedef struct procinspect_access {
    uint32_t action;  /* PROCINSPECT_ACTION_… */
    int32_t pid;      /* the process it would be done to */
    uint32_t user_id; /* the owner of that process */
    uint32_t reserved;
} procinspect_access;

/*
 * Asked after the rest of the policy has agreed, on the thread of the call it guards. 0 agrees;
 * anything else refuses, and the call fails with PROCINSPECT_ERROR_POLICY. It must be safe to call
 * from every thread that uses the context.
 */
typedef int32_t (*procinspect_authorize_callback)(void *user, const procinspect_access *access);

/*
 * What a host may decide. Initialise with procinspect_context_options_init, then set what differs.
 * A zero or NULL is the default that stands beside each member.
 */
typedef struct procinspect_context_options {
    uint32_t struct_size;          /* set by _init */
    uint32_t allow;                /* PROCINSPECT_ALLOW_… bits; 0: looking only */
    uint32_t user_scope;           /* PROCINSPECT_USER_SCOPE_…; 0: the own user's processes */
    uint32_t max_concurrent_dumps; /* at once, counted until a dump is freed; 0: 4 */
    uint64_t max_dump_bytes;       /* larger dumps are refused, TOO_LARGE; 0: no limit */
    uint64_t hold_buffer_bytes;    /* memory a dump may take in this process. One with more of the
                                    * target's memory in it is taken by copy; 0: 64 MiB */
    /* A target is not stopped for longer: a dump that would take longer is given up, TIMED_OUT.
     * Only where the machine has no processor for letting it go can that come late; the dump's
     * report notes it then. 0: 5000. */
    uint32_t max_pause_ms;
    uint32_t reserved;
    /* Where the processes are: NULL: "/proc". Another root (a recorded tree, a container's /proc)
     * can only be looked at: dumps and kills answer UNSUPPORTED. Copied. */
    const char *proc_root;
    /* Environment variables whose values never leave the library; compared without regard to case,
     * `*` at the start or end of a name matches any text there, elsewhere it is refused. The values
     * behind PROCINSPECT_PROCESS_WEB_JOB are held back likewise. In dumps they are masked wherever
     * they stand, as PROCINSPECT_DUMP_REDACT (dump.h) says. Copied. */
    const char *const *redacted_names;
    size_t redacted_name_count;
    procinspect_authorize_callback authorize; /* NULL: no further question */
    void *authorize_user;                     /* handed to authorize */
    /* A dump by copy lives on the target's memory as it was: what the target changes after that is
     * there twice. So the copy ends when it is this old (0: 3600), or has more than this of memory
     * that the target doesn't have any more (0: 4 GiB; looked at once a second, or at 1/20 of the
     * time where that takes long). Reading the dump fails then, IO. */
    uint32_t max_copy_seconds;
    uint32_t reserved2; /* must be 0 */
    uint64_t max_copy_growth_bytes;
    /* Where a dump's memory may be written that is more than hold_buffer_bytes, of a process that
     * can't be copied: into a file without a name that nobody else can open (O_TMPFILE, mode 0600),
     * gone with the dump or the host. An absolute path, on a local disk that is fast enough: what
     * can't be written within max_pause_ms is given up. NULL: nowhere, such dumps are refused.
     * Copied. */
    const char *spool_directory;
} procinspect_context_options;

/* Sets all of *options to the defaults. struct_size is sizeof(procinspect_context_options) as the
 * caller was compiled with. */
PROCINSPECT_API void procinspect_context_options_init(procinspect_context_options *options,
                                                      size_t struct_size);

/*
 * Makes a context; options may be NULL for the defaults. Free with procinspect_context_free.
 *
 * Errors: INVALID_ARGUMENT (unknown allow bits, a scope that is none, a redacted name that is NULL
 * or has a `*` inside, more than 10,000 of them, a spool_directory that is no absolute path,
 * unknown trailing bytes), NOT_FOUND or IO (proc_root is no directory, or holds no processes file
 * system), UNSUPPORTED (this system), NO_MEMORY, NO_RESOURCES.
 */
PROCINSPECT_API int32_t procinspect_context_new(const procinspect_context_options *options,
                                                procinspect_context **context,
                                                procinspect_error *error);

/*
 * Another reference to the context, for whoever keeps it longer than its maker does. Never fails;
 * NULL gives NULL. Each reference is given up with procinspect_context_free.
 */
PROCINSPECT_API procinspect_context *procinspect_context_retain(const procinspect_context *context);

/* Gives up a reference; the last one frees the context. Handles made from it stay valid. NULL does
 * nothing. */
PROCINSPECT_API void procinspect_context_free(procinspect_context *context);

#ifdef __cplusplus
}
#endif

#endif
