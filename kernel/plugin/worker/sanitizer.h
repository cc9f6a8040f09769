#pragma once

// OPENSEND_SANITIZER is 1 in builds whose runtime needs calls and memory that a sandbox denies.
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define OPENSEND_SANITIZER 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define OPENSEND_SANITIZER 1
#endif
#endif
#ifndef OPENSEND_SANITIZER
#define OPENSEND_SANITIZER 0
#endif
