#pragma once

#include <memory>
#include <string>

#include "kernel/access/rate_gate.h"
#include "kernel/api/router.h"
#include "kernel/resources/emails/accept.h"

namespace opensend::emails {

/// Routes of REST 2.1 that exist so far: send, list, get.
class EmailsApi {
public:
    struct Options {
        bool https_only = true;
        size_t max_attachment_b64_bytes = 41'943'040;
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
          options_(options) {}
    void Mount(api::Router& router);

private:
    api::Answer Send(const std::shared_ptr<api::Call>& call);
    api::Answer List(const std::shared_ptr<api::Call>& call);
    api::Answer Get(const std::shared_ptr<api::Call>& call);

    db::Pool& pool_;
    Acceptor& acceptor_;
    access::Idempotency& idempotency_;
    access::RateGate& rates_;
    blob::BlobStore& blobs_;
    Options options_;
};

}  // namespace opensend::emails
