#pragma once

// clang's thread-safety attributes; nothing under other compilers.
#if defined(__clang__)
#define OPENSEND_ATTRIBUTE(x) __attribute__((x))
#else
#define OPENSEND_ATTRIBUTE(x)
#endif
#define OPENSEND_CAPABILITY(x) OPENSEND_ATTRIBUTE(capability(x))
#define OPENSEND_SCOPED_CAPABILITY OPENSEND_ATTRIBUTE(scoped_lockable)
#define OPENSEND_GUARDED_BY(x) OPENSEND_ATTRIBUTE(guarded_by(x))
#define OPENSEND_REQUIRES(...) OPENSEND_ATTRIBUTE(requires_capability(__VA_ARGS__))
#define OPENSEND_ACQUIRE(...) OPENSEND_ATTRIBUTE(acquire_capability(__VA_ARGS__))
#define OPENSEND_RELEASE(...) OPENSEND_ATTRIBUTE(release_capability(__VA_ARGS__))
#define OPENSEND_NO_ANALYSIS OPENSEND_ATTRIBUTE(no_thread_safety_analysis)
