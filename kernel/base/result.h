#pragma once

#include <utility>
#include <variant>

#include "kernel/base/check.h"

namespace opensend::base {

/// Marks a value as the failure side of a Result.
template <class E>
struct Failure {
    E error;
};
template <class E>
Failure(E) -> Failure<E>;

/// A verdict the caller branches on: a value or the reason why there is none.
template <class T, class E>
class [[nodiscard]] Result {
public:
    Result(T value) : state_(std::in_place_index<0>, std::move(value)) {}  // NOLINT: by design
    template <class F>
    Result(Failure<F> failure) : state_(std::in_place_index<1>, std::move(failure.error)) {}

    bool ok() const { return state_.index() == 0; }
    explicit operator bool() const { return ok(); }

    T& value() & {
        OPENSEND_CHECK(ok(), "value() of a failed Result");
        return std::get<0>(state_);
    }
    const T& value() const& {
        OPENSEND_CHECK(ok(), "value() of a failed Result");
        return std::get<0>(state_);
    }
    T&& value() && {
        OPENSEND_CHECK(ok(), "value() of a failed Result");
        return std::get<0>(std::move(state_));
    }
    const E& error() const {
        OPENSEND_CHECK(!ok(), "error() of a good Result");
        return std::get<1>(state_);
    }
    T* operator->() { return &value(); }
    const T* operator->() const { return &value(); }
    T& operator*() & { return value(); }
    const T& operator*() const& { return value(); }
    T&& operator*() && { return std::move(*this).value(); }

private:
    std::variant<T, E> state_;
};

}  // namespace opensend::base
