# What each function is told, from inputs alone: no line here refers to a resource. That is what keeps this deployment
# free of circles. A function needs its own address (the audience its callers' tokens name) and those of others, all
# functions are one resource, and none has an address before it exists. But Cloud Run's deterministic address,
# https://SERVICE-PROJECTNUMBER.REGION.run.app, is known beforehand, and so are the addresses of service accounts.
# https://cloud.google.com/run/docs/triggering/https-request#deterministic
# test/terraform evaluates this file and starts the functions with what comes out.

locals {
  function_names = [
    "directory-watch",
    "directory-event",
    "due",
    "sweep",
    "sign",
    "publish-crl",
    "admin",
    "key-service",
    "ocsp",
  ]

  # Accounts that no function runs as.
  acting_accounts = {
    "gmail"     = "Domain-wide delegation for gmail.settings.basic and nothing else"
    "directory" = "Holds a custom read-only admin role in the Workspace directory"
    "push"      = "Pub/Sub pushes to functions as this account"
    "scheduler" = "Cloud Scheduler calls functions as this account"
    "set-up"    = "An admin sets up the CA as this account"
  }

  emails = {
    for name in concat(local.function_names, keys(local.acting_accounts)) :
    name => "sealwright-${name}@${var.project.id}.iam.gserviceaccount.com"
  }

  urls = {
    for name in local.function_names :
    name => "https://${name}-${var.project.number}.${var.project.region}.run.app"
  }

  public_bucket   = "${var.project.id}-pki"
  key_service_url = "https://${var.public_hosts.key_service}/v1"

  # Files that Secret Manager mounts into functions.
  policy_folder    = "/etc/sealwright/policy"
  ledger_ca_folder = "/etc/sealwright/ledger"

  # Settings of every function. Without production the framework answers with error messages and stack traces.
  common_settings = {
    NODE_ENV     = "production"
    NODE_OPTIONS = "--enable-source-maps"
  }

  # A CRL goes through as short-lived buffers; with a larger young generation they pile up to three times the memory.
  crl_node_options = "--enable-source-maps --max-semi-space-size=2"

  # SEALWRIGHT_DATABASE_URL is not here: it holds a password and comes out of Secret Manager, in functions.tf.
  settings = {
    "directory-watch" = {
      SEALWRIGHT_PROJECT = var.project.id
    }

    "directory-event" = {
      SEALWRIGHT_PROJECT           = var.project.id
      SEALWRIGHT_BEHIND_IAM        = "true"
      SEALWRIGHT_AUDIENCE          = local.urls["directory-event"]
      SEALWRIGHT_CALLERS           = local.emails["push"]
      SEALWRIGHT_POLICY_FILE       = "${local.policy_folder}/policy.yaml"
      SEALWRIGHT_DIRECTORY_ACCOUNT = local.emails["directory"]
      SEALWRIGHT_GMAIL_ACCOUNT     = local.emails["gmail"]
      SEALWRIGHT_ORGANIZATION      = var.workspace.organization_number
      SEALWRIGHT_SIGN_URL          = local.urls["sign"]
    }

    "due" = {
      SEALWRIGHT_PROJECT           = var.project.id
      SEALWRIGHT_BEHIND_IAM        = "true"
      SEALWRIGHT_AUDIENCE          = local.urls["due"]
      SEALWRIGHT_CALLERS           = local.emails["scheduler"]
      SEALWRIGHT_DIRECTORY_ACCOUNT = local.emails["directory"]
      SEALWRIGHT_REPORTS_ADMIN     = var.workspace.reports_admin
      SEALWRIGHT_WATCH_URL         = local.urls["directory-watch"]
      SEALWRIGHT_KEY_SERVICE_URL   = local.key_service_url
    }

    "sweep" = {
      SEALWRIGHT_PROJECT           = var.project.id
      SEALWRIGHT_BEHIND_IAM        = "true"
      SEALWRIGHT_AUDIENCE          = local.urls["sweep"]
      SEALWRIGHT_CALLERS           = local.emails["scheduler"]
      SEALWRIGHT_POLICY_FILE       = "${local.policy_folder}/policy.yaml"
      SEALWRIGHT_DIRECTORY_ACCOUNT = local.emails["directory"]
    }

    "sign" = {
      NODE_OPTIONS          = local.crl_node_options
      SEALWRIGHT_BEHIND_IAM = "true"
      SEALWRIGHT_AUDIENCE   = local.urls["sign"]
      SEALWRIGHT_CALLERS    = join(",", [local.emails["directory-event"], local.emails["publish-crl"]])
    }

    "publish-crl" = {
      NODE_OPTIONS          = local.crl_node_options
      SEALWRIGHT_PROJECT    = var.project.id
      SEALWRIGHT_BEHIND_IAM = "true"
      SEALWRIGHT_AUDIENCE   = local.urls["publish-crl"]
      SEALWRIGHT_CALLERS    = join(",", [local.emails["push"], local.emails["scheduler"]])
      SEALWRIGHT_SIGN_URL   = local.urls["sign"]
      SEALWRIGHT_BUCKET     = local.public_bucket
      # Whose keys `sign` reads and this function cannot.
      SEALWRIGHT_OCSP_KEY_SECRET  = "projects/${var.project.id}/secrets/ocsp-signer-key"
      SEALWRIGHT_AUDIT_KEY_SECRET = "projects/${var.project.id}/secrets/audit-signer-key"
    }

    # The database's address is all it is told (functions.tf).
    "ocsp" = {}

    # Behind IAM too, but it never believes IAM: it verifies the admin's own token whole.
    "admin" = {
      SEALWRIGHT_PROJECT           = var.project.id
      SEALWRIGHT_POLICY_FILE       = "${local.policy_folder}/policy.yaml"
      SEALWRIGHT_DIRECTORY_ACCOUNT = local.emails["directory"]
      SEALWRIGHT_ADMINS            = join(",", var.admins.addresses)
      SEALWRIGHT_ADMIN_AUDIENCES   = join(",", var.admins.audiences)
    }

    "key-service" = {
      SEALWRIGHT_KEY_SERVICE_URL    = local.key_service_url
      SEALWRIGHT_KEY_SERVICE_TENANT = var.key_service.tenant_id
      SEALWRIGHT_KEY_SERVICE_DOMAIN = var.workspace.primary_domain
      # The account of a migration wraps the keys of old mail, as long as it is there.
      SEALWRIGHT_KEY_SERVICE_WRAP_CALLERS = join(",", concat(
        [local.emails["directory-event"]],
        length(var.migration.members) == 0 ? [] : ["sealwright-migration@${var.project.id}.iam.gserviceaccount.com"],
      ))
      # due wraps again after a rotation; admin has a key of old mail shown to open before it is recorded.
      SEALWRIGHT_KEY_SERVICE_REWRAP_CALLERS = join(",", [local.emails["due"], local.emails["admin"]])
      # Newest first: a customer moves from Secret Manager to Cloud KMS and not back.
      SEALWRIGHT_KEY_SERVICE_KEYS = join(",", concat(var.key_service.kms_key_versions, [
        for version in var.key_service.key_versions :
        "projects/${var.project.id}/secrets/key-encryption-key/versions/${version}"
      ]))
      SEALWRIGHT_KEY_SERVICE_IDENTITY_PROVIDERS = jsonencode([
        for provider in var.key_service.identity_providers : {
          issuer    = provider.issuer
          jwksUrl   = provider.jwks_url
          audiences = provider.audiences
        }
      ])
      SEALWRIGHT_KEY_SERVICE_APPLICATIONS = join(",", var.key_service.applications)
      SEALWRIGHT_KEY_SERVICE_TOKEN_KEYS = join(",", [
        for version in var.key_service.token_key_versions :
        "projects/${var.project.id}/secrets/key-service-token-key/versions/${version}"
      ])
      SEALWRIGHT_KEY_SERVICE_ADMIN_PROVIDERS = jsonencode([
        for provider in var.key_service.admin_providers :
        { issuer = provider.issuer, jwksUrl = provider.jwks_url, audiences = provider.audiences }
      ])
      SEALWRIGHT_KEY_SERVICE_ADMINS            = jsonencode(var.key_service.admins)
      SEALWRIGHT_KEY_SERVICE_MIGRATION_SOURCES = join(",", var.key_service.migration_sources)
      SEALWRIGHT_KEY_SERVICE_MIGRATION_TARGETS = join(",", var.key_service.migration_targets)
      SEALWRIGHT_KEY_SERVICE_GUESTS            = tostring(var.key_service.guests)
      # Empty is "none configured"; an empty list would shut every key that was wrapped with a perimeter.
      SEALWRIGHT_KEY_SERVICE_PERIMETERS = var.key_service.perimeters == null ? "" : jsonencode([
        for perimeter in coalesce(var.key_service.perimeters, []) : {
          for name, value in {
            id            = perimeter.id
            domains       = perimeter.domains
            emails        = perimeter.emails
            blockedEmails = perimeter.blocked_emails
            claims        = perimeter.claims
          } : name => value if value != null
        }
      ])
      SEALWRIGHT_KEY_SERVICE_USER_RATE_LIMIT = jsonencode({
        burst     = var.key_service.user_rate_limit.burst
        perSecond = var.key_service.user_rate_limit.per_second
      })
      SEALWRIGHT_KEY_SERVICE_PRIVILEGED_RATE_LIMIT = jsonencode({
        burst     = var.key_service.privileged_rate_limit.burst
        perSecond = var.key_service.privileged_rate_limit.per_second
      })
      SEALWRIGHT_KEY_SERVICE_SHA1_SIGNING = tostring(var.key_service.sha1_signing)
      SEALWRIGHT_KEY_SERVICE_OAEP_MGF1    = var.key_service.oaep_mgf1
    }
  }
}
