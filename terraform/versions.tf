terraform {
  # Write-only arguments and ephemeral values keep the database password out of the state: 1.11.
  required_version = ">= 1.11, < 2.0"

  required_providers {
    google = {
      source = "hashicorp/google"
      # Direct VPC egress of 2nd gen functions came with 7.21.
      version = "~> 7.21"
    }
    random = {
      source = "hashicorp/random"
      # The ephemeral random_password came with 3.7.
      version = "~> 3.7"
    }
  }

  # The bucket is given when the folder is initialised: terraform init -backend-config=bucket=NAME
  backend "gcs" {
    prefix = "sealwright"
  }
}

provider "google" {
  project = var.project.id
  region  = var.project.region

  default_labels = {
    product = "sealwright"
  }
}
