#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <exception>
#include <new>
#include <string_view>

#include <opensend/plugin.h>

#include "plugins/smtp/message.h"

namespace opensend::smtp_plugin {

/// A copy of a foreign struct as far as both sides know it; the rest is zero.
template <class T>
T Import(const void* source) {
    T value{};
    uint32_t size = 0;
    std::memcpy(&size, source, sizeof size);
    std::memcpy(&value, source, std::min<size_t>(size, sizeof value));
    value.size = sizeof value;
    return value;
}

template <class T>
void Export(T value, T* target) {
    value.size = target->size;
    std::memcpy(target, &value, std::min<size_t>(target->size, sizeof value));
}

template <class T>
const T* At(const T* array, uint32_t stride, size_t index) {
    const auto* bytes = reinterpret_cast<const unsigned char*>(array);
    return static_cast<const T*>(static_cast<const void*>(bytes + stride * index));
}

inline std::string_view View(osp_str text) {
    return text.ptr == nullptr ? std::string_view() : std::string_view(text.ptr, text.len);
}

inline osp_str Str(std::string_view text) { return {text.data(), text.size()}; }

inline osp_status Fail(osp_error* error, osp_status code, std::string_view text) {
    if (error != nullptr && error->size >= sizeof(osp_error)) {
        const size_t length = std::min(text.size(), sizeof error->msg - 1);
        error->code = code;
        error->retry_after_ms = 0;
        error->msg_len = static_cast<uint32_t>(length);
        std::memcpy(error->msg, text.data(), length);
        error->msg[length] = '\0';
    }
    return code;
}

/// The exception barrier of every entry.
template <class Function>
osp_status Guard(osp_error* error, Function&& function) {
    try {
        return function();
    } catch (const std::bad_alloc&) {
        return Fail(error, OSP_E_NOMEM, "out of memory");
    } catch (const std::exception& problem) {
        return Fail(error, OSP_E_PANIC, problem.what());
    }
}

inline int32_t OutcomeCode(Outcome outcome) {
    switch (outcome) {
        case Outcome::kAccepted: return OSP_OUT_ACCEPTED;
        case Outcome::kDeferred: return OSP_OUT_DEFERRED;
        case Outcome::kRejected: return OSP_OUT_REJECTED;
        case Outcome::kIndeterminate: return OSP_OUT_INDETERMINATE;
        case Outcome::kOpen:
        case Outcome::kCancelled:
        case Outcome::kNotTried: break;
    }
    return OSP_OUT_NOT_TRIED;
}

static_assert(static_cast<int>(Stage::kConnect) == OSP_STAGE_CONNECT);
static_assert(static_cast<int>(Stage::kMail) == OSP_STAGE_MAIL);
static_assert(static_cast<int>(Stage::kEnd) == OSP_STAGE_END);

inline uint16_t ClassCode(Hint hint) {
    switch (hint) {
        case Hint::kAuto: return OSP_CLASS_AUTO;
        case Hint::kTemporary: return OSP_CLASS_TEMP;
        case Hint::kAuthConfig: return OSP_CLASS_AUTH_CONFIG;
        case Hint::kProtocol: return OSP_CLASS_PROTOCOL;
    }
    return OSP_CLASS_AUTO;
}

}  // namespace opensend::smtp_plugin
