variable "project" {
  description = "The Google Cloud project, which holds nothing but this product. The number is part of the functions' addresses, so it is given and not looked up."
  type = object({
    id     = string
    number = string
    region = string
  })

  validation {
    condition     = can(regex("^[a-z][a-z0-9-]{4,28}[a-z0-9]$", var.project.id))
    error_message = "project.id is a project id: 6 to 30 lower-case letters, digits and dashes, such as acme-sealwright."
  }

  validation {
    condition     = can(regex("^[0-9]{6,20}$", var.project.number))
    error_message = "project.number is the number of the project, digits only; gcloud projects describe PROJECT shows it."
  }

  validation {
    condition     = can(regex("^[a-z]+-[a-z]+[0-9]{1,2}$", var.project.region))
    error_message = "project.region is one region, such as europe-west1."
  }
}

variable "workspace" {
  description = "The Workspace customer whose directory is watched, and the Cloud organization that belongs to it."
  type = object({
    customer_id         = string
    primary_domain      = string
    organization_number = string
    # An admin to read the Reports API as, by domain-wide delegation; empty: the directory's account reads it by its own role.
    reports_admin = optional(string, "")
  })

  validation {
    condition     = can(regex("^C[0-9a-z]{7,10}$", var.workspace.customer_id))
    error_message = "workspace.customer_id is the customer id from the Admin console's account settings, such as C00sample."
  }

  validation {
    condition     = can(regex("^([a-z0-9]([a-z0-9-]*[a-z0-9])?\\.)+[a-z][a-z0-9-]*$", var.workspace.primary_domain))
    error_message = "workspace.primary_domain is a domain in lower case, such as acme.example."
  }

  validation {
    condition     = can(regex("^[0-9]{6,20}$", var.workspace.organization_number))
    error_message = "workspace.organization_number is the number of the Cloud organization, digits only; gcloud organizations list shows it."
  }
}

variable "public_hosts" {
  description = "Names the customer owns. Both are baked into certificates and key pairs for years, so neither may belong to a hosting platform."
  type = object({
    # Plain http: CRLs and issuer certificates. Printed into every certificate.
    pki = string
    # https: the key service, as registered in the Admin console.
    key_service = string
  })

  validation {
    condition = alltrue([
      for host in values(var.public_hosts) :
      can(regex("^([a-z0-9]([a-z0-9-]*[a-z0-9])?\\.)+[a-z][a-z0-9-]*$", host))
    ])
    error_message = "public_hosts are host names in lower case without scheme or path, such as pki.acme.example."
  }

  validation {
    condition = alltrue([
      for host in values(var.public_hosts) :
      !can(regex("(^|\\.)(run\\.app|cloudfunctions\\.net|appspot\\.com|googleapis\\.com|web\\.app|firebaseapp\\.com)$", host))
    ])
    error_message = "public_hosts must be names the customer owns: addresses on a hosting platform end with the deployment, and certificates outlive it."
  }

  validation {
    condition     = var.public_hosts.pki != var.public_hosts.key_service
    error_message = "public_hosts.pki and public_hosts.key_service must differ: one is plain http without a redirect, the other https only."
  }
}

variable "root_crl_path" {
  description = "Path of the root's CRL at public_hosts.pki, such as /root-0123456789abcdef.crl. `sealwright ca init` prints it; until then leave it out, and its reachability is not watched."
  type        = string
  default     = null

  validation {
    condition     = var.root_crl_path == null || can(regex("^/root-[0-9a-f]{16}\\.crl$", var.root_crl_path))
    error_message = "root_crl_path looks like /root-0123456789abcdef.crl."
  }
}

variable "issuing_kms_key_versions" {
  description = "Versions of Cloud KMS keys that issue certificates in place of a key in Secret Manager, for as long as an issuer over them signs CRLs. Made by an admin (docs/deploy.md)."
  type        = list(string)
  default     = []

  validation {
    condition = alltrue([
      for version in var.issuing_kms_key_versions :
      can(regex("^projects/[^/]+/locations/[a-z0-9-]+/keyRings/[A-Za-z0-9_-]+/cryptoKeys/[A-Za-z0-9_-]+/cryptoKeyVersions/[1-9][0-9]*$", version))
    ])
    error_message = "issuing_kms_key_versions are full names, projects/P/locations/L/keyRings/R/cryptoKeys/K/cryptoKeyVersions/N."
  }
}

variable "policy_file" {
  description = "Path of the policy file on the machine that runs Terraform (docs/policy.md). A changed file is a new secret version and a new revision of the functions that read it."
  type        = string

  validation {
    condition     = can(regex("\\.ya?ml$", var.policy_file))
    error_message = "policy_file is the path of a YAML file."
  }
}

variable "build_folder" {
  description = "Where npm run build has put the bundles."
  type        = string
  default     = "../dist"
}

variable "key_service" {
  description = "The key service that runs as a function. tenant_id goes into what every wrapped key is bound to: changing it makes all wrapped keys unreadable."
  type = object({
    tenant_id = string
    # Version numbers of the secret key-encryption-key, newest first. The first one wraps, all of them unwrap.
    key_versions = list(number)
    # Full names of key versions in Cloud KMS (docs/deploy.md), newest first. They go before those of the secret.
    kms_key_versions = optional(list(string), [])
    # Whose tokens say who is sitting at the browser.
    identity_providers = list(object({
      issuer    = string
      jwks_url  = string
      audiences = list(string)
    }))
    # Google applications served; all of them when empty. Gmail's S/MIME needs only gmail.
    applications = optional(list(string), ["gmail"])
    # Versions of the secret key-service-token-key, newest first; empty: certs, delegate and rewrap are not served.
    token_key_versions = optional(list(number), [])
    # Who may use the privileged operations, by operation, and whose tokens say so; nobody unless told.
    admin_providers = optional(list(object({
      issuer    = string
      jwks_url  = string
      audiences = list(string)
    })), [])
    admins = optional(map(list(string)), {})
    # Base addresses of the key services to take over from, and of those that may take over from this one.
    migration_sources = optional(list(string), [])
    migration_targets = optional(list(string), [])
    # Whether people without a Google account are served.
    guests = optional(bool, false)
    # Who may use keys that were wrapped with a perimeter_id (docs/key-service.md). Left out: a perimeter means nothing
    # beyond being the same at wrap and use.
    perimeters = optional(list(object({
      id             = string
      domains        = optional(list(string))
      emails         = optional(list(string))
      blocked_emails = optional(list(string))
      claims         = optional(map(list(string)))
    })))
    # Calls at once after a pause, and calls a second in the long run, at one instance: of each person, and of each
    # admin, service account or other key service.
    user_rate_limit       = optional(object({ burst = number, per_second = number }), { burst = 300, per_second = 10 })
    privileged_rate_limit = optional(object({ burst = number, per_second = number }), { burst = 1000, per_second = 100 })
    # Whether SHA1withRSA is served; only for a peer that takes nothing else.
    sha1_signing = optional(bool, false)
    # Hash of MGF1 in OAEP: same as the named one, or sha1 as Java's default parameters have it.
    oaep_mgf1 = optional(string, "same")
  })

  validation {
    condition     = contains(["same", "sha1"], var.key_service.oaep_mgf1)
    error_message = "key_service.oaep_mgf1 is same or sha1."
  }

  validation {
    condition = alltrue([
      for limit in [var.key_service.user_rate_limit, var.key_service.privileged_rate_limit] :
      limit.burst >= 1 && limit.per_second > 0
    ])
    error_message = "key_service.user_rate_limit and privileged_rate_limit have a burst of at least 1 and a per_second above 0."
  }

  validation {
    condition = length(distinct([
      for perimeter in coalesce(var.key_service.perimeters, []) : perimeter.id
    ])) == length(coalesce(var.key_service.perimeters, []))
    error_message = "key_service.perimeters names each id once."
  }

  validation {
    condition = alltrue([
      for application in var.key_service.applications :
      contains(["drive", "meet", "calendar", "gmail", "gmail-sta"], application)
    ])
    error_message = "key_service.applications are among drive, meet, calendar, gmail, gmail-sta."
  }

  validation {
    condition     = length(var.key_service.tenant_id) > 0 && length(var.key_service.tenant_id) <= 255
    error_message = "key_service.tenant_id has 1 to 255 characters."
  }

  validation {
    condition = alltrue([
      for version in var.key_service.kms_key_versions :
      can(regex("^projects/[^/]+/locations/[^/]+/keyRings/[^/]+/cryptoKeys/[^/]+/cryptoKeyVersions/[1-9][0-9]*$", version))
    ])
    error_message = "key_service.kms_key_versions are full names, projects/P/locations/L/keyRings/R/cryptoKeys/K/cryptoKeyVersions/N."
  }

  validation {
    condition = (
      length(var.key_service.key_versions) + length(var.key_service.kms_key_versions) > 0 &&
      length(distinct(var.key_service.key_versions)) == length(var.key_service.key_versions) &&
      alltrue([for version in var.key_service.key_versions : version >= 1 && floor(version) == version])
    )
    error_message = "key_service.key_versions names at least one version of the secret, each once, as a whole number from 1."
  }

  validation {
    condition = length(var.key_service.identity_providers) > 0 && alltrue([
      for provider in var.key_service.identity_providers :
      startswith(provider.jwks_url, "https://") && length(provider.audiences) > 0
    ])
    error_message = "key_service.identity_providers names at least one provider, each with an https jwks_url and at least one audience."
  }
}

variable "admins" {
  description = "Who may use the admin function. Two checks stand in a row: Cloud Run's IAM (invokers) and the admin's own ID token (addresses, audiences)."
  type = object({
    # IAM members that may reach the function, such as group:pki-admins@acme.example.
    invokers = list(string)
    # Addresses of the people themselves; they are written into the ledger with what they asked for.
    addresses = list(string)
    # OAuth client ids their ID tokens may be issued to.
    audiences = list(string)
    # IAM members that may set up the CA by acting as the service account sealwright-set-up.
    set_up = optional(list(string), [])
  })

  validation {
    condition = alltrue([
      for member in concat(var.admins.invokers, var.admins.set_up) :
      can(regex("^(user|group|serviceAccount):[^@\\s]+@[^@\\s]+$", member))
    ])
    error_message = "admins.invokers and admins.set_up are IAM members such as group:pki-admins@acme.example; allUsers and whole domains are refused."
  }

  validation {
    condition = length(var.admins.addresses) > 0 && length(var.admins.audiences) > 0 && alltrue([
      for address in var.admins.addresses : can(regex("^[^@\\s,]+@[^@\\s,]+$", address))
    ])
    error_message = "admins.addresses and admins.audiences must not be empty: nobody could use the admin function."
  }
}

variable "database" {
  description = "Cloud SQL for PostgreSQL, which holds the ledger."
  type = object({
    tier         = optional(string, "db-custom-1-3840")
    availability = optional(string, "REGIONAL")
    disk_gb      = optional(number, 20)
    # Raise it by one to set a new random password, in the database and in the secret at once.
    password_version = optional(number, 1)
    # Set once the CA is set up: its set-up makes the tables and the roles that the functions' logins are members of.
    # Until then no function has a login, and each says in its log that it lacks SEALWRIGHT_DATABASE_URL.
    function_logins = optional(bool, false)
    # What this was called while only the OCSP responder had a login of its own.
    ocsp_reader = optional(bool)
  })
  default = {}

  validation {
    condition     = var.database.ocsp_reader == null
    error_message = "database.ocsp_reader is gone: every function has a login now. Migrate the ledger and set database.function_logins instead (docs/deploy.md, \"From one login to a login for each function\")."
  }

  validation {
    condition     = contains(["REGIONAL", "ZONAL"], var.database.availability)
    error_message = "database.availability is REGIONAL (a standby in a second zone) or ZONAL."
  }

  validation {
    condition     = can(regex("^db-(custom-[0-9]+-[0-9]+|perf-optimized-N-[0-9]+)$", var.database.tier))
    error_message = "database.tier is a machine with memory for 300 connections, such as db-custom-1-3840; db-f1-micro and db-g1-small have not."
  }

  validation {
    condition     = var.database.disk_gb >= 10 && floor(var.database.disk_gb) == var.database.disk_gb
    error_message = "database.disk_gb is at least 10."
  }

  validation {
    condition     = var.database.password_version >= 1 && floor(var.database.password_version) == var.database.password_version
    error_message = "database.password_version is a whole number from 1."
  }
}

variable "alert_addresses" {
  description = "Mailboxes that are told when something is stuck. Somebody has to read them."
  type        = list(string)

  validation {
    condition = length(var.alert_addresses) > 0 && alltrue([
      for address in var.alert_addresses : can(regex("^[^@\\s]+@[^@\\s]+$", address))
    ])
    error_message = "alert_addresses names at least one mailbox: without it nobody learns of a dead letter."
  }
}

variable "migration" {
  description = "Who puts old mail into mailboxes with \"sealwright mail import\", as IAM members. Empty when nobody migrates: then the account for it does not exist."
  type        = object({ members = optional(list(string), []) })
  default     = {}

  validation {
    condition     = alltrue([for member in var.migration.members : can(regex("^(user|group|serviceAccount):[^@\\s]+@[^@\\s]+$", member))])
    error_message = "migration.members are people, groups or service accounts, such as user:migrator@example.com; never everybody."
  }
}
