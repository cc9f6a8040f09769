#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <utility>

#include "kernel/api/router.h"
#include "kernel/base/secret.h"

namespace opensend::admin {

/// The routes that only the admin listener has (OBS-01).
class AdminApi {
public:
    /// `refresh` brings gauges up to date before they are read.
    AdminApi(std::optional<base::Secret> token, std::function<void()> refresh)
        : token_(std::move(token)), refresh_(std::move(refresh)) {}
    void Mount(api::Router& router);

private:
    api::Answer Metrics(const std::shared_ptr<api::Call>& call);

    const std::optional<base::Secret> token_;
    const std::function<void()> refresh_;
};

}  // namespace opensend::admin
