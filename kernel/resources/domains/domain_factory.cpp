#include "kernel/resources/domains/domain_factory.h"

#include "kernel/base/encoding.h"
#include "kernel/crypto/signature.h"

namespace opensend::domains {

Domain DomainFactory::Make(
    const model::TenantId& tenant, const std::string& name, base::Time now, const Domain& wanted
) {
    Domain domain = wanted;
    domain.id = model::DomainId(ids_.Next());
    domain.name = name;
    domain.created_at = now;
    domain.selector = "os" + base::HexEncode(random_.String(5));
    const auto rsa = crypto::SigningKey::GenerateRsa2048();
    const auto ed25519 = crypto::SigningKey::GenerateEd25519();
    const std::string org = tenant.ToString();
    const std::string row = domain.id.ToString();
    const auto seal = [&](std::string_view column, const crypto::SigningKey& key) {
        base::Secret text(base::Base64Encode(key.ToPkcs8().Reveal()));
        return keyring_.Seal({"domains", column, org, row}, text, random_);
    };
    domain.dkim_private_rsa = seal("dkim_private_rsa", rsa);
    domain.dkim_private_ed25519 = seal("dkim_private_ed25519", ed25519);
    domain.dkim_public_rsa = base::Base64Encode(rsa.PublicBytes());
    domain.dkim_public_ed25519 = base::Base64Encode(ed25519.PublicBytes());
    return domain;
}

}  // namespace opensend::domains
