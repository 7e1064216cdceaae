# The ledger: Cloud SQL for PostgreSQL, without a public address.

# Never in the state, a plan or a log. A new one is made at each run and thrown away, unless password_version was raised.
ephemeral "random_password" "ledger" {
  length = 40
  # It stands in an address, so it needs no escaping.
  special = false
}

ephemeral "random_password" "function" {
  for_each = toset(local.function_names)

  length  = 40
  special = false
}

locals {
  # shared/adapters/ledger/postgres.ts
  connections_per_instance = 4
  max_connections          = 300

  # Functions that have a login: none before the ledger has the roles that these are members of.
  ledger_logins = toset(var.database.function_logins ? local.function_names : [])
}

resource "google_sql_database_instance" "ledger" {
  name             = "sealwright-ledger"
  region           = var.project.region
  database_version = "POSTGRES_17"

  deletion_protection = true

  settings {
    edition           = "ENTERPRISE"
    tier              = var.database.tier
    availability_type = var.database.availability
    disk_type         = "PD_SSD"
    disk_size         = var.database.disk_gb
    disk_autoresize   = true

    # The first protection stops Terraform, this one everybody else.
    deletion_protection_enabled = true

    ip_configuration {
      ipv4_enabled    = false
      private_network = google_compute_network.sealwright.id
      ssl_mode        = "ENCRYPTED_ONLY"
    }

    # Serials, revocations and wrapped keys exist nowhere else.
    backup_configuration {
      enabled                        = true
      point_in_time_recovery_enabled = true
      transaction_log_retention_days = 7
      backup_retention_settings {
        retained_backups = 30
      }
    }

    maintenance_window {
      day  = 7
      hour = 3
    }

    database_flags {
      name  = "max_connections"
      value = tostring(local.max_connections)
    }
    # Who connected and what changed the schema, in the log.
    database_flags {
      name  = "log_connections"
      value = "on"
    }
    database_flags {
      name  = "log_statement"
      value = "ddl"
    }
  }

  lifecycle {
    prevent_destroy = true

    precondition {
      condition = (
        sum([for function in values(local.functions) : function.max]) * local.connections_per_instance * 2 <= local.max_connections
      )
      error_message = "All instances of all functions together, with an old and a new revision side by side, may open more connections than the database takes: raise max_connections or lower the instances in functions.tf."
    }
  }

  depends_on = [google_service_networking_connection.services]
}

resource "google_sql_database" "ledger" {
  name     = "sealwright"
  instance = google_sql_database_instance.ledger.name
}

# The owner of the tables, who migrates them and may do everything: for whoever sets up the CA, and for no function.
resource "google_sql_user" "ledger" {
  name                = "sealwright"
  instance            = google_sql_database_instance.ledger.name
  password_wo         = ephemeral.random_password.ledger.result
  password_wo_version = var.database.password_version
}

# A login for each function, with the rights of its role and no others. The roles are made, with their rights, by the
# ledger's migrations (shared/adapters/ledger/rights.ts says which), so these can only be made once the ledger has its
# tables (docs/deploy.md). Without database_roles Cloud SQL would make them administrators.
resource "google_sql_user" "function" {
  for_each = local.ledger_logins

  name                = "sealwright-${each.key}"
  instance            = google_sql_database_instance.ledger.name
  database_roles      = ["sealwright_${replace(each.key, "-", "_")}"]
  password_wo         = ephemeral.random_password.function[each.key].result
  password_wo_version = var.database.password_version
}

moved {
  from = google_sql_user.ocsp[0]
  to   = google_sql_user.function["ocsp"]
}
