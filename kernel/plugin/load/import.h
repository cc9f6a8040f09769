#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstring>

#include <opensend/plugin.h>

namespace opensend::plugin {

/// Copies a struct of the other side by rule R1: shorter ones are filled up with zeros, of longer
/// ones the known part is taken. False: no struct, or none of plausible size.
template <class T>
bool Import(const void* source, size_t min_size, T& out) {
    if (source == nullptr) return false;
    uint32_t size = 0;
    std::memcpy(&size, source, sizeof size);
    if (size < min_size || size > 65536) return false;
    out = T{};
    std::memcpy(static_cast<void*>(&out), source, std::min<size_t>(size, sizeof out));
    out.size = sizeof out;
    return true;
}

/// Puts a function into an empty slot, so that callers never ask.
template <class... A>
void FillUnsupported(osp_status (*&slot)(A...) noexcept) {
    if (slot == nullptr) slot = [](A...) noexcept -> osp_status { return OSP_E_UNSUPPORTED; };
}
template <class... A>
void FillSuccess(osp_status (*&slot)(A...) noexcept) {
    if (slot == nullptr) slot = [](A...) noexcept -> osp_status { return OSP_OK; };
}
template <class... A>
void FillNothing(void (*&slot)(A...) noexcept) {
    if (slot == nullptr) slot = [](A...) noexcept {};
}

/// Size of T up to and including member `field`.
#define OPENSEND_SIZE_THROUGH(T, field) (offsetof(T, field) + sizeof(T::field))

}  // namespace opensend::plugin
