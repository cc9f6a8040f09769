#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "kernel/access/rate_gate.h"
#include "kernel/api/router.h"
#include "kernel/resources/emails/accept.h"

namespace opensend::emails {

/// Sending, one message or many, and reading (REST 2.1, 2.2).
class EmailsApi {
public:
    struct Options {
        bool https_only = true;
        size_t max_attachment_b64_bytes = 41'943'040;
        /// Whether an attachment's URL may be fetched as far as its text says.
        std::function<bool(std::string_view url)> url_allowed{};
    };
    EmailsApi(
        db::Pool& pool,
        Acceptor& acceptor,
        access::Idempotency& idempotency,
        access::RateGate& rates,
        blob::BlobStore& blobs,
        Options options
    )
        : pool_(pool),
          acceptor_(acceptor),
          idempotency_(idempotency),
          rates_(rates),
          blobs_(blobs),
          options_(std::move(options)) {}
    void Mount(api::Router& router);

private:
    api::Answer Send(const std::shared_ptr<api::Call>& call);
    api::Answer Batch(const std::shared_ptr<api::Call>& call);
    api::Answer List(const std::shared_ptr<api::Call>& call);
    api::Answer Get(const std::shared_ptr<api::Call>& call);

    /// `scheduled`: a time is given, which may be meant in the tenant's zone.
    ReadContext ContextOf(const api::Call& call, bool scheduled);
    /// Prepares `item` for the call's key; the answer of an earlier use, if there was one.
    std::optional<http::Response> Replay(
        const api::Call& call, std::string_view family, std::string_view mode, Acceptor::Item& item
    );
    /// Charges `cost` units, has `prepare` fill the item, commits it and answers afterwards. The
    /// units are given back when nothing was accepted for them.
    api::Answer Submit(
        const std::shared_ptr<api::Call>& call,
        const std::shared_ptr<Acceptor::Item>& item,
        size_t cost,
        const std::function<void()>& prepare
    );

    db::Pool& pool_;
    Acceptor& acceptor_;
    access::Idempotency& idempotency_;
    access::RateGate& rates_;
    blob::BlobStore& blobs_;
    Options options_;
};

}  // namespace opensend::emails
