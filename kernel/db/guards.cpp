#include "kernel/db/guards.h"

#include "kernel/base/error.h"
#include "kernel/base/text.h"
#include "kernel/db/backend/backend.h"
#include "kernel/db/transaction.h"

namespace opensend::db {
namespace {

// An entry goes only when a later one of the same tenant says what was removed.
constexpr std::string_view kSqliteAudit[] = {
    R"sql(CREATE TRIGGER IF NOT EXISTS audit_log_keeps BEFORE UPDATE ON audit_log
          BEGIN SELECT RAISE(ABORT, 'the audit log is not changed'); END)sql",
    R"sql(CREATE TRIGGER IF NOT EXISTS audit_log_stays BEFORE DELETE ON audit_log
          WHEN NOT EXISTS (SELECT 1 FROM audit_log c WHERE c.org_id = OLD.org_id
                           AND c.action = 'audit.checkpoint' AND c.sequence > OLD.sequence)
          BEGIN SELECT RAISE(ABORT, 'the audit log is not changed'); END)sql"};
constexpr std::string_view kPostgresAudit[] = {
    R"sql(CREATE OR REPLACE FUNCTION opensend_audit_stays() RETURNS trigger LANGUAGE plpgsql AS
          'BEGIN
             IF TG_OP = ''DELETE'' AND EXISTS (SELECT 1 FROM audit_log c
                 WHERE c.org_id = OLD.org_id AND c.action = ''audit.checkpoint''
                   AND c.sequence > OLD.sequence) THEN
               RETURN OLD;
             END IF;
             RAISE EXCEPTION ''the audit log is not changed'';
           END')sql",
    R"sql(CREATE OR REPLACE TRIGGER audit_log_stays BEFORE UPDATE OR DELETE ON audit_log
          FOR EACH ROW EXECUTE FUNCTION opensend_audit_stays())sql"};

constexpr std::string_view kTenantRole = "opensend_app";
constexpr std::string_view kJobsRole = "opensend_jobs";
// Roles belong to the whole server: another database's migration may make them at the same moment.
// From version 16 on a member may still not be allowed to take the role.
constexpr std::string_view kMakeRoles = R"sql(
    DO 'DECLARE wanted TEXT := CASE WHEN current_setting(''server_version_num'')::int >= 160000
                                    THEN ''SET'' ELSE ''MEMBER'' END;
        BEGIN
          IF NOT EXISTS (SELECT 1 FROM pg_roles WHERE rolname = ''opensend_app'') THEN
            CREATE ROLE opensend_app NOLOGIN NOBYPASSRLS;
          END IF;
          IF NOT EXISTS (SELECT 1 FROM pg_roles WHERE rolname = ''opensend_jobs'') THEN
            CREATE ROLE opensend_jobs NOLOGIN NOBYPASSRLS;
          END IF;
          IF NOT pg_has_role(current_user, ''opensend_app'', wanted) THEN
            GRANT opensend_app TO CURRENT_USER;
          END IF;
          IF NOT pg_has_role(current_user, ''opensend_jobs'', wanted) THEN
            GRANT opensend_jobs TO CURRENT_USER;
          END IF;
        EXCEPTION WHEN duplicate_object OR unique_violation THEN NULL;
        END')sql";
constexpr std::string_view kAdminHint =
    "have an administrator run: CREATE ROLE opensend_app NOLOGIN; CREATE ROLE opensend_jobs "
    "NOLOGIN; GRANT opensend_app, opensend_jobs TO <the user of DATABASE_URL>;";
constexpr Query kRolesReady = {"", "SELECT " OPENSEND_MAY_TAKE_ROLES};
constexpr Query kBareTables = {"", R"sql(SELECT t.relname, t.relname = 'orgs' FROM pg_class t
               WHERE t.relnamespace = current_schema()::regnamespace AND t.relkind IN ('r', 'p')
                 AND (t.relname = 'orgs' OR EXISTS (SELECT 1 FROM pg_attribute a
                      WHERE a.attrelid = t.oid AND a.attname = 'org_id' AND NOT a.attisdropped))
                 AND NOT EXISTS (SELECT 1 FROM pg_policy p
                      WHERE p.polrelid = t.oid AND p.polname = 'tenant')
               ORDER BY t.relname)sql"};
constexpr Query kSchema = {"", "SELECT quote_ident(current_schema())"};
constexpr Query kLockGuards = {"", "SELECT pg_advisory_xact_lock(7305421999)"};
// The last one only looks.
constexpr int kRoleAttempts = 6;

void Run(Session& session, std::string_view sql) { session.Execute({"", sql}, {}); }

void MakeRoles(Pool& pool) {
    std::string detail = "they exist, but this login may not take them";
    for (int attempt = 0; attempt < kRoleAttempts; ++attempt) {
        try {
            Transaction tx(pool, Plane::kDashboard, Scope::Owner());
            if (tx.First(kRolesReady, {})->Bool(0)) return;
            Run(tx, kMakeRoles);
            tx.Commit();
        } catch (const base::Error& error) {
            detail = error.detail();
        }
    }
    throw base::Error(
        base::ErrorCode::kForbidden,
        base::Cat("the roles that keep tenants apart cannot be made; ", kAdminHint), detail
    );
}

void WallTable(Session& tx, const std::string& table, bool is_tenants) {
    const std::string own =
        base::Cat(is_tenants ? "id" : "org_id", " = current_setting('app.org_id', true)");
    Run(tx, base::Cat("ALTER TABLE ", table, " ENABLE ROW LEVEL SECURITY"));
    Run(tx, base::Cat("ALTER TABLE ", table, " FORCE ROW LEVEL SECURITY"));
    Run(tx, base::Cat(
                "CREATE POLICY tenant ON ", table, " TO ", kTenantRole, " USING (", own,
                ") WITH CHECK (", own, ')'
            ));
    Run(tx,
        base::Cat(
            "CREATE POLICY jobs ON ", table, " TO ", kJobsRole, " USING (true) WITH CHECK (true)"
        ));
    Run(tx, base::Cat("GRANT SELECT, INSERT, UPDATE, DELETE ON ", table, " TO ", kTenantRole));
}

}  // namespace

void RaiseGuards(Pool& pool) {
    if (pool.dialect() == Dialect::kSqlite) {
        Transaction tx(pool, Plane::kDashboard, Scope::Owner());
        for (const std::string_view sql : kSqliteAudit) Run(tx, sql);
        tx.Commit();
        return;
    }
    MakeRoles(pool);
    Transaction tx(pool, Plane::kDashboard, Scope::Owner());
    tx.Execute(kLockGuards, {});
    for (const std::string_view sql : kPostgresAudit) Run(tx, sql);
    for (const Row& row : tx.Execute(kBareTables, {})) WallTable(tx, row.Text(0), row.Bool(1));
    const std::string schema = tx.First(kSchema, {})->Text(0);
    Run(tx, base::Cat(
                "GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA ", schema, " TO ",
                kJobsRole
            ));
    tx.Commit();
    pool.NoteGuards();
}

}  // namespace opensend::db
