export const CLOUD_PLATFORM_SCOPE = 'https://www.googleapis.com/auth/cloud-platform';
export const IAM_SCOPE = 'https://www.googleapis.com/auth/iam';

const WELL_FORMED =
  /^(openid|email|profile|https:\/\/mail\.google\.com\/|https:\/\/www\.googleapis\.com\/auth\/[a-z0-9._-]+)$/;

/** True for text that can name an OAuth scope of Google's; whether such a scope exists is not known here. */
export const isScope = (text: string): boolean => WELL_FORMED.test(text);
